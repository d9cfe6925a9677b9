def need(blobs, count):
    assert len(blobs) == count
