"""Events of pages."""

from schemas.payload import Payload


class Pageview(Payload, category="page interaction", name="pageview"):
    """A page was shown."""

    host: str
    path: str


class CtaClick(Payload, category="page interaction", name="cta click"):
    """A call to action was clicked."""

    host: str
    path: str
    element: str
