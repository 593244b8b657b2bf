"""The short forms of Portuguese, and the words for them: money, units, abbreviations."""

from __future__ import annotations

from plugins.latin.language import Currency, Large, Nouns, Tables, Unit, by_sign, with_plurals, words

TABLES = Tables(
    currencies=by_sign(
        {
            "R$ BRL": Currency("real", "reais", "centavo", "centavos"),
            "$ US$ U$ USD": Currency("dólar", "dólares", "centavo", "centavos"),
            "€ EUR": Currency("euro", "euros", "cêntimo", "cêntimos"),
            "£ GBP": Currency("libra", "libras", "pêni", "pence", "feminine"),
            "₦ NGN": Currency("naira", "nairas", "kobo", "kobos", "feminine"),
            "¥ JPY": Currency("iene", "ienes", "sen", "sens"),
            "CAD": Currency("dólar canadense", "dólares canadenses", "centavo", "centavos"),
            "AUD": Currency("dólar australiano", "dólares australianos", "centavo", "centavos"),
            "CHF": Currency("franco suíço", "francos suíços", "cêntimo", "cêntimos"),
            "CNY": Currency("yuan", "yuans", "fen", "fens"),
            "MXN": Currency("peso mexicano", "pesos mexicanos", "centavo", "centavos"),
            "ARS": Currency("peso argentino", "pesos argentinos", "centavo", "centavos"),
        }
    ),
    larges=by_sign(
        {
            "mil k": Large("mil", "mil", is_noun=False),
            "milhão milhões mi": Large("milhão", "milhões"),
            "bilhão bilhões bi": Large("bilhão", "bilhões"),
            "trilhão trilhões": Large("trilhão", "trilhões"),
        }
    )
    | {"mil milhões": Large("mil milhões", "mil milhões")},
    units=by_sign(
        {
            "%": Unit("por cento", "por cento"),
            "km": Unit("quilômetro", "quilômetros"),
            "m": Unit("metro", "metros"),
            "cm": Unit("centímetro", "centímetros"),
            "mm": Unit("milímetro", "milímetros"),
            "km/h": Unit("quilômetro por hora", "quilômetros por hora"),
            "m/s": Unit("metro por segundo", "metros por segundo"),
            "m²": Unit("metro quadrado", "metros quadrados"),
            "km²": Unit("quilômetro quadrado", "quilômetros quadrados"),
            "m³": Unit("metro cúbico", "metros cúbicos"),
            "ha": Unit("hectare", "hectares"),
            "t": Unit("tonelada", "toneladas", "feminine"),
            "kg Kg": Unit("quilo", "quilos"),
            "g": Unit("grama", "gramas"),
            "mg": Unit("miligrama", "miligramas"),
            "L l": Unit("litro", "litros"),
            "ml mL": Unit("mililitro", "mililitros"),
            "°C ºC": Unit("grau Celsius", "graus Celsius"),
            "°F": Unit("grau Fahrenheit", "graus Fahrenheit"),
            "°": Unit("grau", "graus"),
            "kB KB": Unit("quilobyte", "quilobytes"),
            "MB": Unit("megabyte", "megabytes"),
            "GB": Unit("gigabyte", "gigabytes"),
            "TB": Unit("terabyte", "terabytes"),
            "Hz": Unit("hertz", "hertz"),
            "kHz": Unit("quilohertz", "quilohertz"),
            "MHz": Unit("megahertz", "megahertz"),
            "GHz": Unit("gigahertz", "gigahertz"),
            "W": Unit("watt", "watts"),
            "kW": Unit("quilowatt", "quilowatts"),
            "kWh": Unit("quilowatt-hora", "quilowatts-hora"),
            "V": Unit("volt", "volts"),
            "dB": Unit("decibel", "decibéis"),
            "min": Unit("minuto", "minutos"),
            "s seg": Unit("segundo", "segundos"),
            "ms": Unit("milissegundo", "milissegundos"),
        }
    ),
    words={
        "24/7": "vinte e quatro por sete",
        "EUA": "Estados Unidos",
        "&": "e",
        "c/": "com",
        "p/": "para",
        "s/": "sem",
    }
    | {
        f"{day}{ending}{blank}feira": f"{name}-feira"
        for day, name in enumerate(("segunda", "terça", "quarta", "quinta", "sexta"), 2)
        for ending in "ªa"
        for blank in "- "
    },
    titles=by_sign(
        {
            "Dr": "doutor",
            "Drs": "doutores",
            "Dra": "doutora",
            "Sr": "senhor",
            "Srs": "senhores",
            "Sra": "senhora",
            "Sras": "senhoras",
            "Srta": "senhorita",
            "Prof": "professor",
            "Profa Profª": "professora",
            "Eng": "engenheiro",
            "Exmo": "excelentíssimo",
            "Exma": "excelentíssima",
            "Pe": "padre",
            "Sto": "santo",
            "Sta": "santa",
            "Av": "avenida",
            "Al": "alameda",
            "Pça": "praça",
            "Rod": "rodovia",
            "p.ex P.ex": "por exemplo",
            "vs": "versus",
            "aprox": "aproximadamente",
            "obs Obs": "observação",
            "cap Cap": "capítulo",
            "séc Séc": "século",
        }
    )
    | {"por ex": "por exemplo"},
    closings={
        "etc": "etcétera",
        "Ltda": "limitada",
        "Cia": "companhia",
        "Jr": "júnior",
        "a.C": "antes de Cristo",
        "d.C": "depois de Cristo",
        "depto": "departamento",
        "tel": "telefone",
        "Tel": "telefone",
    },
    labels=by_sign(
        {
            "n. N. nº Nº n.º N.º n° N° no. núm.": "número",
            "p. pág. Pág.": "página",
            "págs.": "páginas",
            "cap.": "capítulo",
            "vol.": "volume",
            "art. Art.": "artigo",
            "arts.": "artigos",
            "Fig. fig.": "figura",
            "apto. ap.": "apartamento",
        }
    ),
)

NOUNS = Nouns(
    feminine_endings=("a", "as", "ã", "ãs", "ção", "ções", "sões", "dade", "dades", "gem", "gens"),
    feminine=with_plurals(
        "vez mulher mãe noite tarde morte fonte parte rede chave flor cor dor luz voz cruz ponte semente "
        "gente classe frase base fase torre árvore nuvem ordem lei mão carne fome sede febre torre tese "
        "série espécie foto moto tribo libido gema algema ema goma soma poma",
        "vezes mulheres mães noites tardes mortes fontes partes redes chaves flores cores dores luzes vozes "
        "cruzes pontes sementes gentes classes frases bases fases torres árvores nuvens ordens leis mãos "
        "carnes teses séries espécies fotos motos tribos libidos gemas algemas emas gomas somas",
    ),
    masculine=with_plurals(
        "dia mapa planeta cometa drama diploma clima fantasma poeta atleta colega pijama personagem real "
        "euro quilo dálmata acrobata pirata patriota idiota belga croata persa asteca inca maia jesuíta "
        "guarda guia",
        "dias mapas planetas cometas dramas diplomas climas fantasmas poetas atletas colegas pijamas "
        "dálmatas acrobatas piratas patriotas idiotas belgas croatas persas astecas incas maias jesuítas "
        "guardas guias",
    ),
    feminine_articles=words("as às das nas à"),
    masculine_articles=words("os aos dos nos"),
    others=words(
        "a e o ou de do da dos das em no na nos nas para por com mas que é são foi às as os até sem entre "
        "contra à ao mais menos apenas se cada ainda agora era está fica atrás depois antes além já só pela "
        "pelas nunca fora ela elas como quando não"
    ),
    labels=words(
        "página capítulo número artigo grupo nível linha tipo fase etapa sala quarto versão parte item "
        "lição questão passo turma porta canal aula zona volume tomo figura tabela"
    ),
)
