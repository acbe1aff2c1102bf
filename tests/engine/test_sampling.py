"""Which process sees which image."""


def test_every_process_sees_its_share_and_together_they_see_each_image_once(monkeypatch):
    from selfpatch.engine import sampling

    seen = []
    for rank in range(3):
        monkeypatch.setattr(sampling, "get_dist_info", lambda rank=rank: (rank, 3))
        sampler = sampling.EpochSampler(range(11), step_size=3, seed=5)
        sampler.set_epoch(2)
        whole = list(sampler)
        sampler.start = 2
        assert list(sampler) == whole[2:]
        assert len(whole) == len(sampler) == 3
        seen += whole
    assert len(set(seen)) == 9
    assert {epoch for epoch, _ in seen} == {2}
