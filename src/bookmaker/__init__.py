"""Development tools of the book; not shipped with the package."""
