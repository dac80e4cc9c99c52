"""The broadcast benchmark: station-hours with exact truth through the real pipeline, judged by the rules of BAF."""
