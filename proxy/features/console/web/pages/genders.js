// Whether a name is likely a woman's or a man's: by common titles and names of English, Spanish, Portuguese, French,
// German, Italian and Thai, then by the endings of two languages. It is a guess. Of most names, and of those of both
// (Alex, Andrea, Jean), there is none.

import { baseOf, wordsOf } from "../core/catalogue.js";

const NAMES = {
  female: `mrs ms miss madam mother mum mom grandmother grandma granny aunt sister daughter wife woman girl lady queen princess sra srta
    senhora senora dona mulher mujer mae madre irma filha hija menina nina madame mademoiselle mme mere femme frau mutter signora abuela avó
    vovó mama mamae abigail
    agnes alice alicia amelia amparo amy ana angela anita ann anna anne annie barbara beatrice beatriz bella carla carmen carol caroline
    catherine charlotte chiara chloe christine clara claire claudia consuelo daisy diana dolores dora dorothy eleanor elena elisa elizabeth
    ella ellen emily emma erin esther eva eve fatima fiona francesca gabriela giulia grace hannah heather heidi helen helena ines irene
    isabel isabella jane janet jennifer jenny jessica joana judith judy julia julie juliet karen kate katherine laura leonor lily linda lisa
    louise lucia lucy luisa luz margaret maria marie marta martha mary megan mercedes mia michelle molly monica nancy natalie nicole nora
    olivia patricia paula penelope pilar rachel raquel rebecca rita rocio rosa rosario rose ruth sally sandra sara sarah silvia sofia sonia
    sophia sophie soledad susan susana teresa valentina vera veronica victoria virginia wendy yolanda zoe มานี ชูใจ มาลี สุดา วิภา สมหญิง`,
  male: `mr sir father dad daddy grandfather grandpa uncle brother son husband man boy gentleman king prince lord sr senhor senor don hombre
    homem pai padre irmao filho hijo menino rey rei monsieur pere homme herr vater signor signore abuelo avô vovô
    papa papai aaron adam adrian alan albert alejandro
    alexander alfred alvaro andre andres andrew antonio arthur ben benjamin bernard bill bob brian bruno carl carlos charles christian
    christopher colin craig daniel dave david dennis diego donald douglas edward eduardo enrique eric felipe felix fernando francesco
    francisco frank fred gabriel gary george giovanni giuseppe graham greg guillermo gustavo hans harold harry hector henry hugo ian ignacio
    isaac ivan jack jacob jacques jake james jason javier jeff jim joao joaquin john johnny jonathan jorge jose joseph joshua juan julian
    karl keith kenneth kevin larry leo leonard liam louis luca lucas luigi luis luke manuel marc marco marcos mario mark martin mateo
    matthew max michael miguel mike nathan neil nicholas nick noah oliver oscar otto pablo patrick paul paulo pedro peter philip pierre
    rafael ralph ramon raul ray ricardo richard robert roberto rodrigo roger romeo ronald ryan samuel santiago sean sebastian sergio simon
    stephen steve ted theo thiago thomas tiago tim tom tomas tommy tony victor vincent walter william มานะ ปิติ วีระ วิชัย สมชาย`,
};
const KNOWN = new Map(Object.entries(NAMES).flatMap(([gender, names]) => names.split(/\s+/).map((name) => [name, gender])));
// Common surnames, of which the last letter tells nothing.
const SURNAMES = wordsOf(`acosta almeida alvarado araujo azevedo barbosa batista blanco cabrera cardoso carvalho castillo castro coelho correia
    costa cunha delgado espinosa espinoza ferreira figueroa fonseca garcia guerrero herrera lima machado melo mendoza molina monteiro moreira
    moreno moura nascimento navarro nogueira oliveira ortega pacheco pereira pinto ribeiro rivera rocha romero silva silveira sosa soto sousa
    souza teixeira vega vieira zamora`);
// In Thai a title and its name are one word.
const TITLES = [[/^(นาง|แม่|ป้า|ยาย|พี่สาว|น้องสาว|เด็กหญิง|ผู้หญิง|หญิง)/, "female"], [/^(นาย|พ่อ|ลุง|ปู่|พี่ชาย|น้องชาย|เด็กชาย|ผู้ชาย|ชาย)/, "male"]];

// "female", "male", or undefined.
export function genderOf(name, tag) {
  const written = name.toLowerCase().normalize("NFC").split(/[^\p{L}\p{M}]+/u).filter(Boolean);
  const words = written.flatMap((word) => [word, ...wordsOf(word)]);
  const [first = ""] = written;
  const known = KNOWN.get(words.find((word) => KNOWN.has(word))) ?? TITLES.find(([title]) => title.test(first))?.[1];
  const isOpen = ["es", "pt"].includes(baseOf(tag)) && !SURNAMES.includes(words[1]);
  return known ?? (isOpen ? { a: "female", ã: "female", o: "male" }[first.at(-1)] : undefined);
}
