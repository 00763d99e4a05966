"""The GPU Dev API: dev boxes and their disks, as its command line knows them."""
