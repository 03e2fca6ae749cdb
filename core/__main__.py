"""``python -m edgeferry``."""

from edgeferry.app.entry import main

if __name__ == "__main__":
    main()
