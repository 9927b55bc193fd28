"""A stream that may be written to even if it is closed, full or no longer read."""

from typing import Any, TextIO


class Output:
    """A stream that is silent once it has failed.

    Attributes
    ----------
    failure : OSError, ValueError or None
        Why it failed: a ValueError is that of a closed file.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.failure: OSError | ValueError | None = None

    def write(self, text: str) -> int:
        """Write the text, if that is possible."""
        if self.failure is None:
            try:
                return self._stream.write(text)
            except UnicodeEncodeError:
                encoding = self._stream.encoding
                return self._stream.write(
                    text.encode(encoding, "backslashreplace").decode(encoding)
                )
            except (OSError, ValueError) as error:
                self.failure = error
        return len(text)

    def flush(self) -> None:
        """Write what is kept back, if that is possible."""
        if self.failure is None:
            try:
                self._stream.flush()
            except (OSError, ValueError) as error:
                self.failure = error

    def __getattr__(self, name: str) -> Any:
        """Return the other attributes of the stream."""
        return getattr(self._stream, name)
