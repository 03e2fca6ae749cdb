"""``python -m edgeferry``."""

from edgeferry.app.cli import main

if __name__ == "__main__":
    main()
