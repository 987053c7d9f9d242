"""What is said where the extra `teams` is not installed. It needs nothing of it itself."""


class TeamsNotInstalled(ImportError):
    """The SDK of Microsoft Teams is not there. Its text names the next move."""

    def __init__(self) -> None:
        super().__init__("Microsoft Teams needs its SDK: pip install 'support-agent[teams]'")
