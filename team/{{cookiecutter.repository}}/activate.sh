# Puts all layers on PYTHONPATH, where Caffe finds them; in this folder: . ./activate.sh
[ -d layers ] || echo 'activate.sh: cd into its folder first, then: . ./activate.sh' >&2
for _caffe_pylayer_layer in "$PWD"/layers/*/activate.sh; do
    [ ! -f "$_caffe_pylayer_layer" ] || {
        _caffe_pylayer_file=$_caffe_pylayer_layer
        . "$_caffe_pylayer_layer"
    }
done
unset _caffe_pylayer_layer
