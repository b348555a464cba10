"""Path converter of the products' ids; ``apps`` registers it as ``sag_id`` before any list of URLs is imported."""


class ProductId:
    """Match an id in the shape of ``console.core.ids``, so that anything else in its place is no page."""

    regex = "[a-z]{1,20}-[0-9a-z]{1,40}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value
