"""The only code that talks to Ethereum and IPFS; foreign types and errors stop at its edge."""
