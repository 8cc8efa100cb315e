"""A shop in FastAPI that welcomes whoever signs up."""

from __future__ import annotations

from typing import Annotated

from fastapi import BackgroundTasks, Depends, FastAPI

from mailkit import AsyncMailer, Message
from mailkit.integrations.fastapi import Mail

mail = Mail(defaults=Message(from_="The Shop <shop@example.com>"))  # where to send is in the environment's MAILKIT_URL
app = FastAPI(lifespan=mail.lifespan)


@app.post("/signup")
async def signup(email: str, mailer: Annotated[AsyncMailer, Depends(mail)]) -> dict[str, object]:
    """Welcome a new customer, and tell what became of the welcome."""
    receipt = await mailer.send(Message(to=email, subject="Welcome", text=f"Good to see you, {email}."))
    return {"message_id": receipt.message_id, "accepted": [result.address for result in receipt.accepted]}


@app.post("/signup/later")
async def signup_later(email: str, tasks: BackgroundTasks) -> dict[str, object]:
    """Welcome a new customer after the answer has gone out; an error is logged."""
    tasks.add_task(mail.deliver, Message(to=email, subject="Welcome", text=f"Good to see you, {email}."))
    return {"queued": email}
