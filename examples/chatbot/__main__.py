"""Where does ``python examples/chatbot`` begin? It does not know how the chat goes on."""

import sys

from chat import main

if __name__ == "__main__":
    sys.exit(main())
