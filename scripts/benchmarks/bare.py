"""A bare Flask route for comparison. For example, `/50` returns a body of 50 bytes."""

import flask

app = flask.Flask(__name__)


@app.route("/<int:size>", methods=["GET", "POST"])
def body(size: int) -> flask.Response:
    return flask.Response(b"x" * size, content_type="application/json")
