"""Send events to The Eye.

`Eye` for threads, gevent and forked workers, `AsyncEye` for asyncio. What `send` took is delivered in the
background. The package imports nothing of The Eye's own servers, and no web framework.
"""

from eye_client.aio import AsyncEye
from eye_client.counts import Counts
from eye_client.drops import Reason
from eye_client.eye import Eye
from eye_client.handler import EyeHandler
from eye_client.results import Result, Status, Violation
from eye_client.version import VERSION as __version__

__all__ = ["AsyncEye", "Counts", "Eye", "EyeHandler", "Reason", "Result", "Status", "Violation", "__version__"]
