"""What may go wrong, sorted by what to do next.

Knows two families and their exit code. Everything else that is raised is a bug and is allowed to crash.
"""


class MonitorError(Exception):
    """Something went wrong."""

    def __str__(self) -> str:
        """Return the message, or the first line of the class's docstring when none was given."""
        return super().__str__() or (type(self).__doc__ or "").splitlines()[0]


class Transient(MonitorError):
    """It did not work this time; wait and try again."""


class Permanent(MonitorError):
    """A person must change something before this can work."""

    exit_code = 78
    """EX_CONFIG of sysexits.h: systemd is told not to restart after it."""


class ConfigError(Permanent):
    """The configuration is not valid."""


class CatalogError(Permanent):
    """The catalogue cannot be used."""


class ForeignFingerprints(CatalogError):
    """The catalogue was made with another encoder recipe."""


class EncoderError(Permanent):
    """The encoder's weights cannot be used."""


class NotAudio(Permanent):
    """The input holds no sound that ffmpeg can decode."""


class StreamFailed(Transient):
    """The stream ended, failed or went quiet."""


class BrokerUnreachable(Transient):
    """The MQTT broker does not answer."""


class OutboxError(Permanent):
    """The outbox file cannot be used."""


class BrokerRefuses(Permanent):
    """The broker does not let us publish."""


class ReportError(Permanent):
    """The report cannot be made as asked for."""


class LedgerError(Permanent):
    """The airtime ledger cannot be used."""


class LedgerUnwritable(Transient):
    """The airtime ledger could not be written."""


class OutboxUnwritable(Transient):
    """A detection could not be written to disk."""
