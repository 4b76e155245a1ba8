"""The stage for people with Docker: image recipes and a compose file. Not part of the installed package."""
