"""The settings of the tap, as `--about` shows them, and the lists that are their defaults."""

from __future__ import annotations

from typing import Any

from singer_sdk import typing as th

CORE_STREAMS = (
    "account_account",
    "account_invoice",
    "account_journal",
    "account_move",
    "account_move_line",
    "account_payment",
    "product_product",
    "product_template",
    "res_company",
    "res_currency",
    "res_partner",
    "sale_order",
    "sale_order_line",
    "stock_move",
    "stock_picking",
    "stock_quant",
)

# Columns of Odoo, its own modules and common OCA ones that let their holder in somewhere.
CREDENTIAL_FIELDS = (
    "password",
    "*_password",
    "password_crypt",
    "*passwd*",
    "passphrase",
    "*_passphrase",
    "*_pass",
    "secret",
    "*_secret",
    "secret_key",
    "*_secret_key",
    "token",
    "*_token",  # access_token opens a document's page without a login
    "*_rtoken",
    "*api_key",
    "*_apikey",
    "private_key",
    "*_private_key",
    "*_hmac_key",
    "*_signature_key",
    "*_encryption_key",
    "payment_provider.*_key",
    "payment_acquirer.*_key",
    "res_users_apikeys.key",
    "auth_totp_device.key",
    "certificate_key.content",
    "mail_push_device.keys",
    "hr_employee.pin",
    "ir_config_parameter.value",  # rows such as database.secret, with which sessions are signed
)

SETTINGS: dict[str, Any] = th.PropertiesList(
    th.Property("db_host", th.StringType, default="localhost", description="Host of Odoo's Postgres server."),
    th.Property("db_port", th.IntegerType, default=5432, description="Port of the Postgres server."),
    th.Property("db_name", th.StringType, required=True, description="Name of Odoo's database."),
    th.Property("db_user", th.StringType, description="User to connect as; reading rights are enough."),
    th.Property("db_password", th.StringType, secret=True, description="The user's password."),
    th.Property(
        "db_sslmode",
        th.StringType,
        default="prefer",
        allowed_values=["disable", "allow", "prefer", "require", "verify-ca", "verify-full"],
        description="How TLS is used, in libpq's words.",
    ),
    th.Property("db_schema", th.StringType, default="public", description="Schema that holds Odoo's tables."),
    th.Property(
        "streams",
        th.ArrayType(th.StringType),
        default=list(CORE_STREAMS),
        description="Globs of the streams that are selected unless a catalog says otherwise.",
    ),
    th.Property(
        "exclude_fields",
        th.ArrayType(th.StringType),
        default=[],
        description="Globs of columns to leave out: on the column's name, or with a dot on table.column.",
    ),
    th.Property(
        "credential_fields",
        th.ArrayType(th.StringType),
        default=list(CREDENTIAL_FIELDS),
        description="Globs, as in exclude_fields, of columns that hold credentials and are never read.",
    ),
    th.Property("start_date", th.DateTimeType, description="Where streams without a bookmark begin, by write_date."),
    th.Property(
        "end_date",
        th.DateTimeType,
        description="Where incremental streams end, by write_date: for syncing a span again.",
    ),
    th.Property(
        "lookback_seconds",
        th.IntegerType,
        description="How far behind the bookmark a run begins. Unset: 0 under the transaction guard, 3600 without it.",
    ),
    th.Property(
        "long_transaction_guard",
        th.BooleanType,
        default=True,
        description="Stay behind transactions that are still open, so that a late commit is never missed.",
    ),
    th.Property(
        "invoice_compat",
        th.BooleanType,
        default=True,
        description="Offer account_invoice as a view of account_move on Odoo 13 and newer.",
    ),
    th.Property(
        "translated_output",
        th.StringType,
        default="json",
        allowed_values=["json", "first"],
        description="Translated columns: json as they are stored; first as one text, in the first language with one.",
    ),
    th.Property(
        "languages",
        th.ArrayType(th.StringType),
        default=["en_US"],
        description="Languages for translated_output first, best first; en_US stands in where all are missing.",
    ),
).to_dict()
