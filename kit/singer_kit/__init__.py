"""The little that IPAI's taps and targets share. It imports none of them."""
