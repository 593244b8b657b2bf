"""The short forms of English, and the words for them: money, units, abbreviations."""

from __future__ import annotations

from plugins.latin.language import Currency, Large, Tables, Unit

_DOLLAR = Currency("dollar", "dollars", "cent", "cents")
_EURO = Currency("euro", "euros", "cent", "cents")
_POUND = Currency("pound", "pounds", "penny", "pence")
_NAIRA = Currency("naira", "naira", "kobo", "kobo")
_YEN = Currency("yen", "yen", "sen", "sen")
_REAL = Currency("real", "reais", "centavo", "centavos")
_US_DOLLAR = Currency("US dollar", "US dollars", "cent", "cents")

_CURRENCIES = {
    "$": _DOLLAR,
    "US$": _US_DOLLAR,
    "USD": _US_DOLLAR,
    "€": _EURO,
    "EUR": _EURO,
    "£": _POUND,
    "GBP": _POUND,
    "₦": _NAIRA,
    "NGN": _NAIRA,
    "¥": _YEN,
    "JPY": _YEN,
    "R$": _REAL,
    "BRL": _REAL,
    **{
        sign: Currency(f"{country} dollar", f"{country} dollars", "cent", "cents")
        for country, signs in {
            "Australian": ("A$", "AU$", "AUD"),
            "Canadian": ("C$", "CA$", "CAD"),
            "Hong Kong": ("HK$", "HKD"),
            "New Zealand": ("NZ$", "NZD"),
            "Singapore": ("S$", "SGD"),
            "Taiwan": ("NT$", "TWD"),
        }.items()
        for sign in signs
    },
    "CHF": Currency("Swiss franc", "Swiss francs", "centime", "centimes"),
    "CNY": Currency("yuan", "yuan", "fen", "fen"),
    "MXN": Currency("Mexican peso", "Mexican pesos", "centavo", "centavos"),
    "₹": Currency("rupee", "rupees", "paisa", "paise"),
    "INR": Currency("rupee", "rupees", "paisa", "paise"),
    "฿": Currency("baht", "baht", "satang", "satang"),
    "THB": Currency("baht", "baht", "satang", "satang"),
}

_LARGES = {
    written: Large(said, said)
    for said, all_written in {
        "thousand": ("thousand", "k", "K"),
        "million": ("million", "mn", "m", "M"),
        "billion": ("billion", "bn", "b", "B"),
        "trillion": ("trillion", "tn"),
    }.items()
    for written in all_written
}

_UNITS = {
    "%": Unit("percent", "percent"),
    "km": Unit("kilometer", "kilometers"),
    "m": Unit("meter", "meters"),
    "cm": Unit("centimeter", "centimeters"),
    "mm": Unit("millimeter", "millimeters"),
    "mi": Unit("mile", "miles"),
    "ft": Unit("foot", "feet"),
    "yd": Unit("yard", "yards"),
    "km/h": Unit("kilometer per hour", "kilometers per hour"),
    "kph": Unit("kilometer per hour", "kilometers per hour"),
    "mph": Unit("mile per hour", "miles per hour"),
    "m/s": Unit("meter per second", "meters per second"),
    "m²": Unit("square meter", "square meters"),
    "km²": Unit("square kilometer", "square kilometers"),
    "m³": Unit("cubic meter", "cubic meters"),
    "ha": Unit("hectare", "hectares"),
    "kg": Unit("kilogram", "kilograms"),
    "g": Unit("gram", "grams"),
    "mg": Unit("milligram", "milligrams"),
    "lb": Unit("pound", "pounds"),
    "lbs": Unit("pound", "pounds"),
    "oz": Unit("ounce", "ounces"),
    "L": Unit("liter", "liters"),
    "l": Unit("liter", "liters"),
    "ml": Unit("milliliter", "milliliters"),
    "mL": Unit("milliliter", "milliliters"),
    "°C": Unit("degree Celsius", "degrees Celsius"),
    "°F": Unit("degree Fahrenheit", "degrees Fahrenheit"),
    "°": Unit("degree", "degrees"),
    "kB": Unit("kilobyte", "kilobytes"),
    "KB": Unit("kilobyte", "kilobytes"),
    "MB": Unit("megabyte", "megabytes"),
    "GB": Unit("gigabyte", "gigabytes"),
    "TB": Unit("terabyte", "terabytes"),
    "Hz": Unit("hertz", "hertz"),
    "kHz": Unit("kilohertz", "kilohertz"),
    "MHz": Unit("megahertz", "megahertz"),
    "GHz": Unit("gigahertz", "gigahertz"),
    "W": Unit("watt", "watts"),
    "kW": Unit("kilowatt", "kilowatts"),
    "kWh": Unit("kilowatt hour", "kilowatt hours"),
    "V": Unit("volt", "volts"),
    "dB": Unit("decibel", "decibels"),
    "h": Unit("hour", "hours"),
    "hr": Unit("hour", "hours"),
    "hrs": Unit("hour", "hours"),
    "min": Unit("minute", "minutes"),
    "s": Unit("second", "seconds"),
    "sec": Unit("second", "seconds"),
    "ms": Unit("millisecond", "milliseconds"),
}

_WORDS = {
    "24/7": "twenty-four seven",
    "9/11": "nine eleven",
    "50/50": "fifty-fifty",
    "&": "and",
    "w/": "with",
    "w/o": "without",
}

_TITLES = {
    "Mr": "Mister",
    "Mrs": "Missus",
    "Ms": "Ms",
    "Dr": "Doctor",
    "Prof": "Professor",
    "St": "Saint",
    "Mt": "Mount",
    "Ft": "Fort",
    "Gen": "General",
    "Capt": "Captain",
    "Sgt": "Sergeant",
    "Lt": "Lieutenant",
    "Col": "Colonel",
    "Gov": "Governor",
    "Sen": "Senator",
    "Sr": "Senior",
    "Rep": "Representative",
    "Rev": "Reverend",
    "Hon": "Honorable",
    "e.g": "for example",
    "i.e": "that is",
    "E.g": "for example",
    "I.e": "that is",
    "vs": "versus",
    "approx": "approximately",
}

_CLOSINGS = {
    "etc": "et cetera",
    "Inc": "Incorporated",
    "Ltd": "Limited",
    "Co": "Company",
    "Corp": "Corporation",
    "Jr": "Junior",
    "Ave": "Avenue",
    "Rd": "Road",
    "Blvd": "Boulevard",
    "Dept": "Department",
    "Bros": "Brothers",
}

_LABELS = {
    "No.": "number",
    "no.": "number",
    "Nos.": "numbers",
    "Nº": "number",
    "№": "number",
    "p.": "page",
    "pp.": "pages",
    "Fig.": "figure",
    "fig.": "figure",
    "Vol.": "volume",
    "vol.": "volume",
    "Ch.": "chapter",
    "ch.": "chapter",
    "Apt.": "apartment",
    "Rm.": "room",
    "Ext.": "extension",
    "ext.": "extension",
    "Tel.": "telephone",
    "tel.": "telephone",
    "#": "number",
}

TABLES = Tables(
    currencies=_CURRENCIES,
    larges=_LARGES,
    units=_UNITS,
    words=_WORDS,
    titles=_TITLES,
    closings=_CLOSINGS,
    labels=_LABELS,
)
