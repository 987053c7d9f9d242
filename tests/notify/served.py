"""What `adjourn run tests.notify.served:app` serves."""

from tests.notify.bureau import make_app

app = make_app()
