"""Model families of keras-hub, a record of each."""

from keras_irl.families.family import Family as Family
from keras_irl.families.family import family_of as family_of
