"""The scheme "auto": slopes with error bars."""
