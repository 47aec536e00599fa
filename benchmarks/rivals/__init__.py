"""The rivals: the same models, written as users of other libraries would."""
