"""What a Flask route costs that does nothing: `/50` answers with a body of 50 bytes, whatever the method."""

import flask

app = flask.Flask(__name__)


@app.route("/<int:size>", methods=["GET", "POST"])
def body(size: int) -> flask.Response:
    return flask.Response(b"x" * size, content_type="application/json")
