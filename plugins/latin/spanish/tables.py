"""The short forms of Spanish, and the words for them: money, units, abbreviations."""

from __future__ import annotations

from plugins.latin.language import Currency, Large, Nouns, Tables, Unit, by_sign, with_plurals, words

PESO = Currency("peso", "pesos", "centavo", "centavos")

TABLES = Tables(
    currencies=by_sign(
        {
            "$ US$ U$S USD": Currency("dólar", "dólares", "centavo", "centavos"),
            "€ EUR": Currency("euro", "euros", "céntimo", "céntimos"),
            "£ GBP": Currency("libra", "libras", "penique", "peniques", "feminine"),
            "₦ NGN": Currency("naira", "nairas", "kobo", "kobos", "feminine"),
            "¥ JPY": Currency("yen", "yenes", "sen", "senes"),
            "R$ BRL": Currency("real", "reales", "centavo", "centavos"),
            "MXN ARS COP CLP": PESO,
            "CAD": Currency("dólar canadiense", "dólares canadienses", "centavo", "centavos"),
            "AUD": Currency("dólar australiano", "dólares australianos", "centavo", "centavos"),
            "CHF": Currency("franco suizo", "francos suizos", "céntimo", "céntimos"),
            "CNY": Currency("yuan", "yuanes", "fen", "fens"),
        }
    ),
    larges=by_sign(
        {
            "mil k": Large("mil", "mil", is_noun=False),
            "millón millones M": Large("millón", "millones"),
            "billón billones": Large("billón", "billones"),
        }
    )
    | {"mil millones": Large("mil millones", "mil millones")},
    units=by_sign(
        {
            "%": Unit("por ciento", "por ciento", "alone"),
            "km": Unit("kilómetro", "kilómetros"),
            "m": Unit("metro", "metros"),
            "cm": Unit("centímetro", "centímetros"),
            "mm": Unit("milímetro", "milímetros"),
            "km/h": Unit("kilómetro por hora", "kilómetros por hora"),
            "m/s": Unit("metro por segundo", "metros por segundo"),
            "m²": Unit("metro cuadrado", "metros cuadrados"),
            "km²": Unit("kilómetro cuadrado", "kilómetros cuadrados"),
            "m³": Unit("metro cúbico", "metros cúbicos"),
            "ha": Unit("hectárea", "hectáreas", "feminine"),
            "t": Unit("tonelada", "toneladas", "feminine"),
            "kg Kg": Unit("kilo", "kilos"),
            "g": Unit("gramo", "gramos"),
            "mg": Unit("miligramo", "miligramos"),
            "L l": Unit("litro", "litros"),
            "ml mL": Unit("mililitro", "mililitros"),
            "°C ºC": Unit("grado Celsius", "grados Celsius"),
            "°F": Unit("grado Fahrenheit", "grados Fahrenheit"),
            "°": Unit("grado", "grados"),
            "kB KB": Unit("kilobyte", "kilobytes"),
            "MB": Unit("megabyte", "megabytes"),
            "GB": Unit("gigabyte", "gigabytes"),
            "TB": Unit("terabyte", "terabytes"),
            "Hz": Unit("hercio", "hercios"),
            "kHz": Unit("kilohercio", "kilohercios"),
            "MHz": Unit("megahercio", "megahercios"),
            "GHz": Unit("gigahercio", "gigahercios"),
            "W": Unit("vatio", "vatios"),
            "kW": Unit("kilovatio", "kilovatios"),
            "kWh": Unit("kilovatio hora", "kilovatios hora"),
            "V": Unit("voltio", "voltios"),
            "dB": Unit("decibelio", "decibelios"),
            "min": Unit("minuto", "minutos"),
            "s seg": Unit("segundo", "segundos"),
            "ms": Unit("milisegundo", "milisegundos"),
        }
    ),
    words={
        "24/7": "veinticuatro siete",
        "EEUU": "Estados Unidos",
        "&": "y",
        ".NET": "punto NET",
        "C/": "calle",
        "c/": "calle",
    },
    titles={
        "Dr": "doctor",
        "Dres": "doctores",
        "Dra": "doctora",
        "Sr": "señor",
        "Sres": "señores",
        "Sra": "señora",
        "Sras": "señoras",
        "Srta": "señorita",
        "Prof": "profesor",
        "Profa": "profesora",
        "Ing": "ingeniero",
        "Lic": "licenciado",
        "Arq": "arquitecto",
        "Gral": "general",
        "Dña": "doña",
        "Sto": "santo",
        "Sta": "santa",
        "Av": "avenida",
        "Avda": "avenida",
        "Pza": "plaza",
        "Ctra": "carretera",
        "p.ej": "por ejemplo",
        "P.ej": "por ejemplo",
        "vs": "versus",
        "aprox": "aproximadamente",
        "s": "siglo",
        "cap": "capítulo",
        "Cap": "capítulo",
    },
    closings=by_sign(
        {
            "etc": "etcétera",
            "EE.UU": "Estados Unidos",
            "Ud Vd": "usted",
            "Uds Vds": "ustedes",
            "Ltda": "limitada",
            "Cía": "compañía",
            "a.C": "antes de Cristo",
            "d.C": "después de Cristo",
            "dpto": "departamento",
            "tel Tel tfno": "teléfono",
        }
    ),
    labels=by_sign(
        {
            "n.º N.º nº Nº n° N° núm. Núm. no. No.": "número",
            "p. pág. Pág.": "página",
            "págs.": "páginas",
            "cap.": "capítulo",
            "vol. Vol.": "volumen",
            "art. Art.": "artículo",
            "Fig. fig.": "figura",
        }
    ),
)

NOUNS = Nouns(
    feminine_endings=(
        *("a", "as", "ción", "ciones", "sión", "siones", "dad", "dades", "tud", "tudes", "umbre", "umbres"),
    ),
    feminine=with_plurals(
        "vez mujer noche tarde parte llave flor madre calle clase ley luz voz fuente red mano nube torre "
        "base fase frase imagen orden muerte serie especie tesis foto moto libido broma goma paloma loma "
        "toma crema yema gema diadema flema quema",
        "veces mujeres noches tardes partes llaves flores madres calles clases leyes luces voces fuentes "
        "redes manos nubes torres bases fases frases imágenes órdenes muertes series especies fotos motos "
        "bromas gomas palomas lomas tomas cremas yemas gemas diademas flemas quemas",
    ),
    masculine=with_plurals(
        "día mapa poeta planeta cometa clima fantasma atleta colega pijama drama diploma agua águila área "
        "aula alma arma dálmata acróbata pirata patriota idiota belga croata persa azteca inca maya jesuita "
        "policía guardia guía espía",
        "días mapas poetas planetas cometas climas fantasmas atletas colegas pijamas dramas diplomas "
        "dálmatas acróbatas piratas patriotas idiotas belgas croatas persas aztecas incas mayas jesuitas "
        "policías guardias guías espías",
    ),
    feminine_articles=words("la las"),
    masculine_articles=words("los"),
    others=words(
        "a e y o u de del en es son con por para que se al el la lo los las no más menos sin entre hasta "
        "desde fue era está ya sobre como contra si ni pero mientras después antes tras cada ahora nunca "
        "ella ellas cuando solo apenas además atrás estas esas unas muchas"
    ),
    labels=words(
        "página capítulo número artículo grupo nivel línea tipo fase etapa sala versión parte lección paso "
        "puerta canal tema zona volumen tomo figura tabla punto"
    ),
)
