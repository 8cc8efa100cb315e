"""A shop in Flask that welcomes whoever signs up."""

from __future__ import annotations

from flask import Flask, request

from mailkit import Message
from mailkit.integrations.flask import Mail

app = Flask(__name__)
app.config["MAIL_DEFAULT_SENDER"] = "The Shop <shop@example.com>"  # where to send is in the environment's MAILKIT_URL
mail = Mail(app)


@app.post("/signup")
def signup() -> dict[str, object]:
    """Welcome a new customer."""
    email = request.form["email"]
    receipt = mail.send(Message(to=email, subject="Welcome", **mail.render("mail/welcome", email=email)))
    return {"message_id": receipt.message_id, "accepted": [result.address for result in receipt.accepted]}
