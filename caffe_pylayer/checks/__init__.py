"""What holds for any Python layer of Caffe, checked by pytest.

Nothing here imports from outside this folder: a layer may have a copy of it.
"""
