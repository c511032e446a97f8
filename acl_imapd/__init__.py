"""An IMAP server for shared mail folders whose access rights can be trusted."""

__version__ = "0.1.0"
