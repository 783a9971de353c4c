"""`python -m tpc`"""

from tpc.cli import main

if __name__ == "__main__":
    main()
