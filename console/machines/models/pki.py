"""Keys of the console itself."""

from django.db import models

from console.core.sealed import SealedKeyField


class Authority(models.Model):
    """A private key of the console's: the certificate authority, or the key that signs session tokens.

    The private key is PEM, encrypted by the console's keys.
    """

    kind = models.CharField(max_length=20)
    key_id = models.CharField(max_length=40, unique=True)
    private_key = SealedKeyField(editable=False)
    public = models.TextField(help_text="The certificate, or the public key, in PEM.")
    created_at = models.DateTimeField(auto_now_add=True)
    active = models.BooleanField(default=True)

    class Meta:
        verbose_name_plural = "authorities"
        constraints = [
            models.UniqueConstraint(
                fields=["kind"], condition=models.Q(active=True), name="authority_one_active"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.key_id}"
