"""The nouns of Berth and the rules they obey. Pure: no I/O, no clock, no chance."""
