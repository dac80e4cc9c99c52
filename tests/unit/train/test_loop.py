"""A run of two steps writes all that a long one does, and is taken up again where it stood."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from monitor.core.recipe import Recipe
from monitor.encoder import networks, weights
from monitor.encoder.engine import load_encoder
from monitor.encoder.networks import Large
from monitor.errors import ConfigError, EncoderError
from monitor.train import beginning, checkpoint, data, loop, recipe, report
from monitor.train.validate import CONDITIONS
from tests.unit.train.clips import RECIPE_TEXT, pack_clips


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return where the cache is and the run goes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    made = tmp_path_factory.mktemp("train")
    pack_clips(made / "cache")
    (made / "tiny.toml").write_text(RECIPE_TEXT)
    yield made
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def chosen(folder: Path) -> recipe.TrainingRecipe:
    return recipe.read(str(folder / "tiny.toml"))[0]


@pytest.fixture(scope="module")
def finished(folder: Path, chosen: recipe.TrainingRecipe) -> tuple[loop.Run, Path, list[str], bool]:
    """Return a run of a moment, its weights, what it said, and whether it learned anything."""
    said: list[str] = []
    run = loop.Run(chosen, folder / "cache", folder / "out", "cpu")
    before = {name: one.clone() for name, one in run._network.state_dict().items()}
    path = run.train(said.append)
    learned = any((before[name] != one).any() for name, one in run._network.state_dict().items())
    return run, path, said, bool(learned)


Finished = tuple[loop.Run, Path, list[str], bool]


def test_a_run_writes_weights_that_load(finished: Finished) -> None:
    run, path, _, learned = finished
    assert run.progress.step >= 1
    assert run.progress.windows == 8 * run.progress.step
    assert learned
    engine = load_encoder(str(path), "cpu")
    assert engine.recipe.name == "tiny"
    assert engine.encode(np.zeros((1, 8000), np.float32)).shape == (1, 16)


def test_the_log_is_what_was_said(finished: Finished, folder: Path) -> None:
    run, _, said, _ = finished
    log = [json.loads(line) for line in (folder / "out" / "log.jsonl").read_text().splitlines()]
    assert log == json.loads(json.dumps(run.progress.log)) == [json.loads(line) for line in said]
    assert set(log[-1]["validation"]) == set(CONDITIONS)


def test_card_and_curve_lie_beside_the_weights(finished: Finished, folder: Path) -> None:
    run, path, _, _ = finished
    report.write(folder / "out", path, RECIPE_TEXT, run.progress, folder / "cache")
    card = path.with_suffix(".md").read_text()
    engine = load_encoder(str(path), "cpu")
    assert engine.recipe.hash in card
    assert engine.recipe.weights_sha256 in card
    assert f"{run.progress.step} steps" in card
    assert all(condition in card for condition in CONDITIONS)
    assert RECIPE_TEXT.strip() in card
    assert "on a CPU (1 threads)" in card
    assert "none of them after a codec" in card
    assert "2 recordings, the\nfirst 120 s of each" in card
    assert (folder / "out" / "tiny.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_is_taken_up_where_it_stood_and_goes_on(finished: Finished, folder: Path, chosen: recipe.TrainingRecipe) -> None:
    run, _, _, _ = finished
    shutil.copytree(folder / "out", folder / "again")
    longer = replace(chosen, training=replace(chosen.training, minutes=run.progress.spent_s / 60 + 1e-4))
    resumed = loop.Run(longer, folder / "cache", folder / "again", "cpu")
    assert resumed.progress.step == run.progress.step
    assert resumed.progress.spent_s == pytest.approx(run.progress.spent_s)
    for name, one in resumed._network.state_dict().items():
        assert torch.equal(one, run._network.state_dict()[name])
    resumed.train(lambda _: None)
    assert resumed.progress.step > run.progress.step
    assert resumed.progress.spent_s > run.progress.spent_s
    assert resumed.progress.log[0] == run.progress.log[0]
    assert not list((folder / "again").glob("*.partial"))


def test_a_run_may_begin_with_the_weights_of_an_encoder(finished: Finished, folder: Path, chosen: recipe.TrainingRecipe) -> None:
    run, path, _, _ = finished
    begun = loop.Run(chosen, folder / "cache", folder / "from", "cpu", [str(path)])
    assert begun.progress.step == 0
    assert begun.progress.started_from == load_encoder(str(path), "cpu").recipe.weights_sha256
    for name, one in begun._network.state_dict().items():
        assert torch.equal(one, run._network.state_dict()[name])
    report.write(folder / "from", path, RECIPE_TEXT, replace(begun.progress, log=run.progress.log), folder / "cache")
    assert begun.progress.started_from in path.with_suffix(".md").read_text()


@pytest.fixture
def large(chosen: recipe.TrainingRecipe) -> recipe.TrainingRecipe:
    return replace(chosen, network="large", sound={**chosen.sound, "fine_bins": 128})


def test_both_towers_of_large_may_begin_with_one_encoder(finished: Finished, folder: Path, large: recipe.TrainingRecipe) -> None:
    run, path, _, _ = finished
    begun = loop.Run(large, folder / "cache", folder / "large", "cpu", [str(path)])
    assert begun.progress.started_from == load_encoder(str(path), "cpu").recipe.weights_sha256
    assert isinstance(begun._network, Large)
    for tower in begun._network.towers:
        for name, one in tower.state_dict().items():
            assert torch.equal(one, run._network.state_dict()[name])


def test_each_tower_may_begin_with_its_own_and_one_be_held(
    finished: Finished, folder: Path, chosen: recipe.TrainingRecipe, large: recipe.TrainingRecipe
) -> None:
    fine = replace(chosen, sound={**chosen.sound, "mel_bins": 0, "fine_bins": 128})
    second = loop.Run(fine, folder / "cache", folder / "fine", "cpu").train(lambda _: None)
    first, held = finished[1], replace(large, training=replace(large.training, held=("towers.0",)))
    run = loop.Run(held, folder / "cache", folder / "two", "cpu", [str(first), str(second)])
    network = run._network
    assert isinstance(network, Large)
    shown = torch.cat([run._shown(run._sampler.draw(number), number) for number in range(beginning.JOINED_ON)])
    network.eval()
    with torch.no_grad():
        said = network.both(shown)
        assert torch.allclose((said @ network.join.weight.T).norm(), torch.linalg.svdvals(said)[: run._sound.dim].norm(), rtol=1e-3)
    before = [{name: one.clone() for name, one in tower.state_dict().items()} for tower in network.towers]
    for path, tower in zip((first, second), before, strict=True):
        tensors = weights.load(path)[1]
        assert all(torch.equal(one, tensors[name]) for name, one in tower.items())
    path = run.train(lambda _: None)
    after = weights.load(path)[1]
    kept, learned = ([torch.equal(one, after[f"towers.{n}.{name}"]) for name, one in before[n].items()] for n in (0, 1))
    assert all(kept)
    assert not any(learned)
    report.write(folder / "two", path, RECIPE_TEXT, run.progress, folder / "cache")
    assert "` and `".join(weights.load(one)[0].weights_sha256 for one in (first, second)) in path.with_suffix(".md").read_text()


def test_towers_are_joined_by_what_differs_most_in_what_they_say() -> None:
    torch.manual_seed(1)
    network = Large(Recipe(name="x", network="large", fine_bins=128, dim=32))
    shown = [torch.rand(40, 1, 256, 32) * 2 - 1 for _ in range(2)]
    beginning.join(network, shown)
    rows = network.join.weight.detach()
    assert torch.allclose(rows @ rows.T, torch.eye(32), atol=1e-5)
    with torch.no_grad():
        both = network.both(torch.cat(shown))
    best = torch.linalg.svdvals(both)[:32].square().sum()
    assert (both @ rows.T).square().sum().item() == pytest.approx(best.item(), rel=1e-4)


def test_a_part_that_the_network_has_not_cannot_be_held(folder: Path, chosen: recipe.TrainingRecipe) -> None:
    wrong = replace(chosen, training=replace(chosen.training, held=("tower",)))
    with pytest.raises(ConfigError, match="held: the network 'compact' has no part 'tower'"):
        loop.Run(wrong, folder / "cache", folder / "held", "cpu")


def test_weights_that_do_not_fit_are_refused(
    finished: Finished, folder: Path, chosen: recipe.TrainingRecipe, large: recipe.TrainingRecipe
) -> None:
    def begin(wanted: recipe.TrainingRecipe, *names: str) -> None:
        loop.Run(wanted, folder / "cache", folder / "other", "cpu", names)

    path = str(finished[1])
    with pytest.raises(EncoderError, match=r"compact\.safetensors holds the network 'compact', .* or of another size"):
        begin(chosen, "compact")
    with pytest.raises(EncoderError, match=r"2 encoders to start from, but the network that the recipe asks for takes 1"):
        begin(chosen, path, path)
    with pytest.raises(EncoderError, match=r"3 encoders to start from, .* takes 2"):
        begin(large, path, path, path)
    fine = folder / "of-fine.safetensors"
    sound, tensors = weights.load(finished[1])
    weights.save(fine, replace(sound, mel_bins=0, fine_bins=128), tensors)
    with pytest.raises(EncoderError, match=r"of-fine\.safetensors knows no mel spectrogram, .*: name it second"):
        begin(large, str(fine), path)


def test_what_is_held_has_weights_and_leaves_something_to_learn(
    finished: Finished, folder: Path, chosen: recipe.TrainingRecipe, large: recipe.TrainingRecipe
) -> None:
    def begin(held: tuple[str, ...], *names: str) -> None:
        wanted = replace(large, training=replace(large.training, held=held))
        loop.Run(wanted, folder / "cache", folder / "held", "cpu", names)

    with pytest.raises(ConfigError, match="held at random weights: say --start-from"):
        begin(("towers.0",))
    with pytest.raises(ConfigError, match="nothing left to learn"):
        begin(("towers", "join"), str(finished[1]))
    with pytest.raises(ConfigError, match="has no part ''"):
        begin(("",), str(finished[1]))


def test_a_checkpoint_from_before_a_field_of_the_recipe_is_taken_up(
    finished: Finished, folder: Path, chosen: recipe.TrainingRecipe
) -> None:
    shutil.copytree(folder / "out", folder / "older")
    path = folder / "older" / checkpoint.NAME
    state = torch.load(path, weights_only=True)
    del state["recipe"]["training.held"]
    torch.save(state, path)
    assert loop.Run(chosen, folder / "cache", folder / "older", "cpu").progress.step == finished[0].progress.step


def test_a_run_that_is_stopped_has_saved_and_goes_on(folder: Path, chosen: recipe.TrainingRecipe) -> None:
    longer = replace(chosen, training=replace(chosen.training, minutes=60.0))
    run = loop.Run(longer, folder / "cache", folder / "stopped", "cpu")
    run.stop()
    with pytest.raises(loop.Stopped, match="stopped at step 1: run the same command again"):
        run.train(lambda _: None)
    assert loop.Run(longer, folder / "cache", folder / "stopped", "cpu").progress.step == 1


def test_a_run_that_began_with_other_weights_is_not_taken_up(
    finished: Finished, folder: Path, chosen: recipe.TrainingRecipe
) -> None:
    _, path, _, _ = finished
    out = folder / "from-weights"
    loop.Run(chosen, folder / "cache", out, "cpu", [str(path)])._save()
    assert loop.Run(chosen, folder / "cache", out, "cpu", [str(path)]).progress.started_from
    with pytest.raises(ConfigError, match="began with other weights than compact: name those, or another --out"):
        loop.Run(chosen, folder / "cache", out, "cpu", ["compact"])


def test_a_run_of_another_recipe_is_not_taken_up(finished: Finished, folder: Path, chosen: recipe.TrainingRecipe) -> None:
    """It was: with another loss or chain silently, with another network by a traceback."""
    shutil.copytree(folder / "out", folder / "changed")
    other = replace(chosen, training=replace(chosen.training, margin=0.4), chain=replace(chosen.chain, voice=0.9))
    with pytest.raises(ConfigError, match=r"another recipe \(chain.voice, training.margin differ\): name another --out"):
        loop.Run(other, folder / "cache", folder / "changed", "cpu")
    wider = replace(chosen, sound={"dim": 32})
    with pytest.raises(ConfigError, match=r"sound.dim differ"):
        loop.Run(wider, folder / "cache", folder / "changed", "cpu")
    state = torch.load(folder / "changed" / "checkpoint.pt", weights_only=True)
    del state["recipe"]  # as they were written until then
    torch.save(state, folder / "changed" / "checkpoint.pt")
    loop.Run(chosen, folder / "cache", folder / "changed", "cpu")
    with pytest.raises(ConfigError, match="another network or optimizer"):
        loop.Run(wider, folder / "cache", folder / "changed", "cpu")


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 cut short"])
def test_what_is_no_checkpoint_is_said_so(tmp_path: Path, chosen: recipe.TrainingRecipe, content: bytes) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(content)
    with pytest.raises(EncoderError, match="is no checkpoint, or damaged"):
        loop.Run(chosen, tmp_path / "cache", tmp_path, "cpu")


@pytest.mark.parametrize("loss", ["triplet", "catalogue"])
def test_a_run_that_was_stopped_comes_to_what_it_would_have_come_to(
    finished: Finished, folder: Path, chosen: recipe.TrainingRecipe, loss: recipe.LossName
) -> None:
    """Batches, what is laid over them, masks and rivals are drawn by the number of the step."""
    several = replace(chosen, training=replace(chosen.training, minutes=0.0, steps=3, loss=loss, rivals=30))
    begun, straightly, haltingly = [str(finished[1])], folder / f"straight-{loss}", folder / f"halted-{loss}"
    straight = loop.Run(several, folder / "cache", straightly, "cpu", begun)
    straight.train(lambda _: None)
    for _ in range(2):
        halted = loop.Run(several, folder / "cache", haltingly, "cpu", begun)
        halted.stop()
        with pytest.raises(loop.Stopped):
            halted.train(lambda _: None)
    resumed = loop.Run(several, folder / "cache", haltingly, "cpu", begun)
    assert resumed.progress.step == 2
    resumed.train(lambda _: None)
    for name, one in resumed._network.state_dict().items():
        assert torch.equal(one, straight._network.state_dict()[name])


def test_each_step_has_random_numbers_of_its_own(folder: Path, chosen: recipe.TrainingRecipe) -> None:
    """For the mask and for the chain: with one seed for both, whether a batch was masked told what its first row met."""
    seeds = set()
    for steps in (1, 2, 3):
        run = loop.Run(
            replace(chosen, training=replace(chosen.training, minutes=0.0, steps=steps)), folder / "cache", folder / "seeds", "cpu"
        )
        run.train(lambda _: None)
        seeds |= {run._random.initial_seed(), run._degrade._random.initial_seed()}
    assert len(seeds) == 6


def test_damaged_audio_is_not_trained_on(folder: Path, chosen: recipe.TrainingRecipe, tmp_path: Path) -> None:
    shutil.copytree(folder / "cache", tmp_path / "cache")
    for split, kind in (("train", "ir"), ("validation", "noise")):
        with (tmp_path / "cache" / "pcm" / f"{split}-{kind}.i16").open("r+b") as file:
            file.write(b"damaged!")
        with pytest.raises(data.DataMissing, match=f"{split} {kind} is damaged"):
            loop.Run(chosen, tmp_path / "cache", tmp_path / "out", "cpu")
        shutil.copy(folder / "cache" / "pcm" / f"{split}-{kind}.i16", tmp_path / "cache" / "pcm")


def test_a_full_disk_is_said_so_and_leaves_the_last_checkpoint(
    finished: Finished, folder: Path, chosen: recipe.TrainingRecipe
) -> None:
    shutil.copytree(folder / "out", folder / "full")
    run = loop.Run(chosen, folder / "cache", folder / "full", "cpu")
    (folder / "full" / "checkpoint.partial").symlink_to("/dev/full")
    before = (folder / "full" / "checkpoint.pt").read_bytes()
    with pytest.raises(checkpoint.NotSaved, match="what was saved before stands"):
        run._save()
    assert (folder / "full" / "checkpoint.pt").read_bytes() == before
    assert not (folder / "full" / "checkpoint.partial").is_symlink()
    (folder / "full" / "log.jsonl").unlink()
    (folder / "full" / "log.jsonl").symlink_to("/dev/full")
    with pytest.raises(checkpoint.NotSaved, match="No space left"):
        run._note(lambda _: None, {"loss": 1.0})


def test_weights_that_the_disk_does_not_take_are_told_in_a_line(
    finished: Finished, folder: Path, chosen: recipe.TrainingRecipe
) -> None:
    shutil.copytree(folder / "out", folder / "brimful")
    run = loop.Run(chosen, folder / "cache", folder / "brimful", "cpu")
    (folder / "brimful" / "tiny.safetensors").unlink()
    (folder / "brimful" / "tiny.safetensors").mkdir()
    with pytest.raises(checkpoint.NotSaved, match="but the run is saved; make room"):
        run.train(lambda _: None)


@pytest.mark.parametrize("loss", ["triplet", "nt-xent", "kcl"])
def test_steps_two_positives_any_loss_and_lamb(folder: Path, chosen: recipe.TrainingRecipe, loss: recipe.LossName) -> None:
    training = replace(chosen.training, minutes=0.0, steps=1, loss=loss, optimizer="lamb", mask=0.0)
    several = replace(chosen.positives, count=2, tempo_share=0.3, pitch_share=0.2)
    run = loop.Run(replace(chosen, training=training, positives=several), folder / "cache", folder / loss, "cpu")
    run.train(lambda _: None)
    assert (run.progress.step, run.progress.windows) == (1, 12)
    assert all(torch.isfinite(one).all() for one in run._network.state_dict().values())


@pytest.fixture
def air(chosen: recipe.TrainingRecipe) -> recipe.TrainingRecipe:
    return replace(chosen, training=replace(chosen.training, minutes=0.0, steps=2, loss="catalogue", rivals=30))


def test_a_network_for_the_air_learns_and_its_encoder_stays(finished: Finished, folder: Path, air: recipe.TrainingRecipe) -> None:
    begun = finished[1]
    run = loop.Run(air, folder / "cache", folder / "air", "cpu", [str(begun)])
    path = run.train(lambda _: None)
    assert (run.progress.step, run.progress.windows) == (2, 8)
    assert path == folder / "air" / begun.name
    assert path.read_bytes() == begun.read_bytes()
    stored, heard = load_encoder(str(path), "cpu", stored=True), load_encoder(str(path), "cpu")
    assert heard.query == weights.digest(dict(run._network.state_dict()))
    sound = np.random.default_rng(1).standard_normal((2, 8000)).astype(np.float32)
    assert (stored.encode(sound) != heard.encode(sound)).any()
    report.write(folder / "air", path, RECIPE_TEXT, run.progress, folder / "cache", for_the_air=True)
    assert f"weights SHA-256 `{heard.query}`" in path.with_suffix(weights.QUERY_CARD_SUFFIX).read_text()
    assert path.with_suffix(".md").exists() == begun.with_suffix(".md").exists()
    assert run.progress.started_from == stored.recipe.weights_sha256


@pytest.fixture(scope="module")
def small(finished: Finished, folder: Path) -> Path:
    """Return an encoder with a network for the air, all of whose numbers are greater by one."""
    (folder / "small").mkdir()
    path = Path(shutil.copy(finished[1], folder / "small"))
    sound, tensors = weights.load(path)
    heard = {name: one + 1 if one.is_floating_point() else one for name, one in tensors.items()}
    weights.save_query(path.with_suffix(weights.QUERY_SUFFIX), sound, heard)
    return path


@pytest.fixture
def held(air: recipe.TrainingRecipe, large: recipe.TrainingRecipe) -> recipe.TrainingRecipe:
    return replace(large, training=replace(air.training, held=("towers.0",)))


@pytest.fixture
def both(small: Path, folder: Path, large: recipe.TrainingRecipe) -> Path:
    """Return a `large` whose first tower is the small encoder."""
    made = replace(large, training=replace(large.training, held=("towers.0",)))
    return loop.Run(made, folder / "cache", folder / "both", "cpu", [str(small)]).train(lambda _: None)


def test_a_tower_for_the_air_begins_with_what_hears_it_for_another(
    both: Path, small: Path, folder: Path, held: recipe.TrainingRecipe
) -> None:
    """All else begins with the encoder that is served; the tower that is held stays so; the run is taken up by the same names."""
    query, heard = weights.load_query(str(small), weights.read_recipe(small))
    recipe_of_both, served = weights.load(both)
    run = loop.Run(held, folder / "cache", folder / "tower", "cpu", [str(both), str(small)])
    assert run.progress.started_from == f"{recipe_of_both.weights_sha256} {query}"
    begun = {name: one.clone() for name, one in run._network.state_dict().items()}
    assert all(torch.equal(one, begun[f"towers.0.{name}"]) for name, one in heard.items())
    assert all(torch.equal(one, served[name]) for name, one in begun.items() if not name.startswith("towers.0."))
    after = weights.load_query(str(run.train(lambda _: None)), recipe_of_both)[1]
    for name, one in begun.items():
        assert torch.equal(one, after[name]) == name.startswith("towers.0.")
    again = loop.Run(held, folder / "cache", folder / "tower", "cpu", [str(both), str(small)])
    assert again.progress.step == run.progress.step
    with pytest.raises(ConfigError, match=r"tower holds a run that began with other weights than .*: name those, or another"):
        loop.Run(held, folder / "cache", folder / "tower", "cpu", [str(both)])


def test_a_tower_for_the_air_begins_with_nothing_else(
    finished: Finished,
    both: Path,
    small: Path,
    folder: Path,
    air: recipe.TrainingRecipe,
    held: recipe.TrainingRecipe,
) -> None:
    def begin(wanted: recipe.TrainingRecipe, *names: Path) -> None:
        loop.Run(wanted, folder / "cache", folder / "nothing-else", "cpu", [str(one) for one in names])

    with pytest.raises(EncoderError, match=r"has no network for the air yet that could be begun with"):
        begin(held, both, finished[1])
    with pytest.raises(EncoderError, match=r"is not what tower 1 of .* is, so what hears the air for it does not fit"):
        begin(held, both, small, small)
    with pytest.raises(EncoderError, match=r"is not what tower 0 of .* is, so what hears the air for it does not fit"):
        begin(held, small, both)
    with pytest.raises(EncoderError, match=r"holds the network 'large', not what the recipe asks for"):
        begin(air, both, small)


def test_a_network_for_the_air_goes_on_with_what_hears_the_air_already(
    finished: Finished, small: Path, folder: Path, air: recipe.TrainingRecipe
) -> None:
    """The encoder that is served is named first, as ever; `small` has such a network, `finished` none."""
    served = weights.read_recipe(small)
    query, heard = weights.load_query(str(small), served)
    run = loop.Run(air, folder / "cache", folder / "goes-on", "cpu", [str(small), str(small)])
    assert run.progress.started_from == f"{served.weights_sha256} {query}"
    assert all(torch.equal(one, heard[name]) for name, one in run._network.state_dict().items())
    after = weights.load_query(str(run.train(lambda _: None)), served)[1]
    assert not all(torch.equal(one, heard[name]) for name, one in after.items())
    with pytest.raises(EncoderError, match=r"is named twice, which is all of the network: name no more"):
        loop.Run(air, folder / "cache", folder / "goes-on-thrice", "cpu", [str(small)] * 3)
    with pytest.raises(EncoderError, match=r"has no network for the air yet that could be begun with"):
        loop.Run(air, folder / "cache", folder / "goes-on-with-none", "cpu", [str(finished[1]), str(finished[1])])


def test_the_shipped_recipes_begin_with_the_shipped_encoders() -> None:
    for name, *others in (("compact",), ("large", "compact")):
        sound = recipe.read(f"{name}-air")[0].encoder_recipe()
        begun = beginning.Beginning([name, *others], air=True)
        assert begun.fill(networks.build(sound)) is None
        served = begun.served.recipe
        assert not served.differences(replace(sound, weights_sha256=served.weights_sha256))


def test_an_encoder_that_is_replaced_while_another_learns_to_hear_for_it_is_told(
    finished: Finished, folder: Path, air: recipe.TrainingRecipe
) -> None:
    (folder / "served").mkdir()
    served = Path(shutil.copy(finished[1], folder / "served"))
    run = loop.Run(air, folder / "cache", folder / "served", "cpu", [str(served)])
    assert run.train(lambda _: None) == served
    assert served.read_bytes() == finished[1].read_bytes()
    sealed, tensors = weights.load(served)
    weights.save(served, sealed, {name: one + 1 for name, one in tensors.items()})
    with pytest.raises(EncoderError, match="is another encoder now: put the one back"):
        run.train(lambda _: None)


def test_a_network_for_the_air_needs_an_encoder_that_hears_alike(
    finished: Finished, folder: Path, air: recipe.TrainingRecipe
) -> None:
    with pytest.raises(EncoderError, match="the network that hears the air for an encoder: say --start-from and its name"):
        loop.Run(air, folder / "cache", folder / "nobody", "cpu")
    duller = replace(air, sound={**air.sound, "dynamic_range_db": 60.0})
    with pytest.raises(ConfigError, match=r"cannot hear the air for .*: dynamic_range_db: 80\.0 != 60\.0"):
        loop.Run(duller, folder / "cache", folder / "duller", "cpu", [str(finished[1])])


def test_no_audio_is_said_so(tmp_path: Path, chosen: recipe.TrainingRecipe) -> None:
    with pytest.raises(data.DataMissing, match="is missing: prepare train ir first"):
        loop.Run(chosen, tmp_path / "nothing", tmp_path / "out", "cpu")


def test_no_such_device_is_said_so(tmp_path: Path, chosen: recipe.TrainingRecipe) -> None:
    with pytest.raises(EncoderError, match="CUDA devices"):
        loop.Run(chosen, tmp_path, tmp_path / "out", "cuda:99")


def test_responses_are_cut_and_have_unit_energy(folder: Path) -> None:
    rows = loop.responses(data.open_split(folder / "cache", "train", "ir"), 100)
    assert rows.shape == (2, 100)
    np.testing.assert_allclose(np.square(rows).sum(axis=1), 1.0, atol=1e-5)
