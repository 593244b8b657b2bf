"""The short forms of English, and the words for them: money, units, abbreviations."""

from __future__ import annotations

from plugins.latin.language import Currency, Large, Tables, Unit, by_sign

_CURRENCIES = by_sign(
    {
        "$": Currency("dollar", "dollars", "cent", "cents"),
        "US$ USD": Currency("US dollar", "US dollars", "cent", "cents"),
        "€ EUR": Currency("euro", "euros", "cent", "cents"),
        "£ GBP": Currency("pound", "pounds", "penny", "pence"),
        "₦ NGN": Currency("naira", "naira", "kobo", "kobo"),
        "¥ JPY": Currency("yen", "yen", "sen", "sen"),
        "R$ BRL": Currency("real", "reais", "centavo", "centavos"),
        "A$ AU$ AUD": Currency("Australian dollar", "Australian dollars", "cent", "cents"),
        "C$ CA$ CAD": Currency("Canadian dollar", "Canadian dollars", "cent", "cents"),
        "HK$ HKD": Currency("Hong Kong dollar", "Hong Kong dollars", "cent", "cents"),
        "NZ$ NZD": Currency("New Zealand dollar", "New Zealand dollars", "cent", "cents"),
        "S$ SGD": Currency("Singapore dollar", "Singapore dollars", "cent", "cents"),
        "NT$ TWD": Currency("Taiwan dollar", "Taiwan dollars", "cent", "cents"),
        "CHF": Currency("Swiss franc", "Swiss francs", "centime", "centimes"),
        "CNY": Currency("yuan", "yuan", "fen", "fen"),
        "MXN": Currency("Mexican peso", "Mexican pesos", "centavo", "centavos"),
        "₹ INR": Currency("rupee", "rupees", "paisa", "paise"),
        "฿ THB": Currency("baht", "baht", "satang", "satang"),
    }
)

_LARGES = by_sign(
    {
        "thousand k K": Large("thousand", "thousand"),
        "million mn m M": Large("million", "million"),
        "billion bn b B": Large("billion", "billion"),
        "trillion tn": Large("trillion", "trillion"),
    }
)

_UNITS = by_sign(
    {
        "%": Unit("percent", "percent"),
        "km": Unit("kilometer", "kilometers"),
        "m": Unit("meter", "meters"),
        "cm": Unit("centimeter", "centimeters"),
        "mm": Unit("millimeter", "millimeters"),
        "mi": Unit("mile", "miles"),
        "ft": Unit("foot", "feet"),
        "yd": Unit("yard", "yards"),
        "km/h kph": Unit("kilometer per hour", "kilometers per hour"),
        "mph": Unit("mile per hour", "miles per hour"),
        "m/s": Unit("meter per second", "meters per second"),
        "m²": Unit("square meter", "square meters"),
        "km²": Unit("square kilometer", "square kilometers"),
        "m³": Unit("cubic meter", "cubic meters"),
        "ha": Unit("hectare", "hectares"),
        "kg": Unit("kilogram", "kilograms"),
        "g": Unit("gram", "grams"),
        "mg": Unit("milligram", "milligrams"),
        "lb lbs": Unit("pound", "pounds"),
        "oz": Unit("ounce", "ounces"),
        "L l": Unit("liter", "liters"),
        "ml mL": Unit("milliliter", "milliliters"),
        "°C": Unit("degree Celsius", "degrees Celsius"),
        "°F": Unit("degree Fahrenheit", "degrees Fahrenheit"),
        "°": Unit("degree", "degrees"),
        "kB KB": Unit("kilobyte", "kilobytes"),
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
        "h hr hrs": Unit("hour", "hours"),
        "min": Unit("minute", "minutes"),
        "s sec": Unit("second", "seconds"),
        "ms": Unit("millisecond", "milliseconds"),
    }
)

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
