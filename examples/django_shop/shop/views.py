"""What the shop answers."""

from __future__ import annotations

from django.core.mail import EmailMultiAlternatives
from django.http import HttpRequest, JsonResponse
from django.utils.html import format_html
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST


@csrf_exempt  # an example without a page, so without a form
@require_POST
def signup(request: HttpRequest) -> JsonResponse:
    """Welcome a new customer."""
    email = request.POST["email"]
    message = EmailMultiAlternatives("Welcome", f"Good to see you, {email}.", to=[email])
    message.attach_alternative(format_html("<p>Good to see you, <b>{}</b>.</p>", email), "text/html")
    message.send()
    receipt = message.mailkit_receipt
    return JsonResponse({"message_id": receipt.message_id, "accepted": [result.address for result in receipt.accepted]})
