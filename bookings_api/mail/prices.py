"""Formats prices."""

from decimal import Decimal

from babel.numbers import format_currency, get_currency_precision, get_currency_symbol
from iso4217 import Currency

_LOCALE = "en"
_DIGITS = {currency.code: currency.exponent or 0 for currency in Currency}


def format_price(amount: int, currency: str) -> str:
    """Format an amount in minor units, for example as `€1,234.50` or `CHF 20.00`.

    The number of digits is that of ISO 4217. Babel's own data (CLDR) omits digits that are rarely used in cash.
    """
    # `iso4217` does not contain currencies that have been withdrawn
    digits = _DIGITS.get(currency, get_currency_precision(currency))
    # as in CLDR, a no-break space separates letters from the number
    space = "\N{NO-BREAK SPACE}" if get_currency_symbol(currency, _LOCALE)[-1].isalpha() else ""
    pattern = f"¤{space}#,##0" + ("." + "0" * digits if digits else "")
    return format_currency(Decimal(amount).scaleb(-digits), currency, pattern, locale=_LOCALE, currency_digits=False)
