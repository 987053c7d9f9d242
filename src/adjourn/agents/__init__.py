"""Agents inside orchestrators. What is here needs the extra: `pip install 'adjourn[agents]'`."""

try:
    from adjourn.agents.durable import Durable, StepOptions
except ImportError as error:
    if not (error.name or "").startswith("pydantic"):
        raise
    raise ImportError(
        f"Durable agents need a part that is not installed ({error.name}): "
        "pip install 'adjourn[agents]'",
        name=error.name,
    ) from error

__all__ = ["Durable", "StepOptions"]
