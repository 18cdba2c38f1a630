"""`python -m eye` is `eye`."""

from eye.cli.app import main

main()
