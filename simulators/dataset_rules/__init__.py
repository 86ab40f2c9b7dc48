"""Rule files that fit public data sets, beside the shipped ones of sites."""
