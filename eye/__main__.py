"""`python -m eye` is `eye`."""

from eye.command import main

main()
