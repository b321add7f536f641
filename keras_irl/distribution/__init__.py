"""Distribution: layouts of policies on a mesh of devices."""

from keras_irl.distribution.cluster import initialize as initialize
from keras_irl.distribution.layouts import Sharded as Sharded
from keras_irl.distribution.layouts import distribute as distribute
from keras_irl.distribution.layouts import layout_map as layout_map
