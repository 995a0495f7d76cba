"""The formulas of the pages as MathML, which browsers set by themselves: a page is whole without a network.

It knows the part of TeX that the pages use, and stops at anything else.
"""

import re
from html import escape

LETTERS = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "varepsilon": "ε", "eta": "η", "theta": "θ", "kappa": "κ",
    "lambda": "λ", "mu": "μ", "xi": "ξ", "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ", "phi": "φ", "chi": "χ",
    "psi": "ψ", "Delta": "Δ", "Theta": "Θ", "Lambda": "Λ", "Pi": "Π", "Sigma": "Σ", "ell": "ℓ", "infty": "∞",
    "omega": "ω", "epsilon": "ϵ", "nu": "ν", "zeta": "ζ", "Gamma": "Γ", "Phi": "Φ", "Psi": "Ψ", "Omega": "Ω",
}  # fmt: skip
OPERATORS = {
    "le": "≤", "ge": "≥", "ne": "≠", "sim": "∼", "propto": "∝", "in": "∈", "ni": "∋", "cdot": "⋅", "circ": "∘",
    "times": "×", "to": "→", "approx": "≈", "top": "⊤", "nabla": "∇", "mid": "|", "dots": "…", "pm": "±", "ll": "≪",
    "gg": "≫", "cup": "∪", "cap": "∩", "subset": "⊂", "setminus": "∖", "partial": "∂", "ast": "∗", "star": "⋆",
}  # fmt: skip
FENCES = {"(": "(", ")": ")", "[": "[", "]": "]", "|": "|", r"\{": "{", r"\}": "}", r"\|": "‖"}
FENCES |= {r"\langle": "⟨", r"\rangle": "⟩"}
LIMITS = {"sum": "∑", "prod": "∏", "max": "max", "min": "min", "sup": "sup", "inf": "inf"}
FUNCTIONS = {"log", "exp", "cosh", "tanh", "sinh", "det", "arg"}
SPACES = {r"\,": 0.17, r"\;": 0.28, r"\ ": 0.33, r"\quad": 1, r"\qquad": 2, r"\!": -0.17}
ACCENTS = {"hat": "^", "bar": "¯", "tilde": "~"}
SIZES = {"big": 1.2, "Big": 1.8, "bigl": 1.2, "bigr": 1.2, "Bigl": 1.8, "Bigr": 1.8}
_TOKEN = re.compile(r"\\text\{[^}]*\}|\\[a-zA-Z]+|\\.|\S")


def mathml(tex: str, display: bool = False) -> str:
    """The `<math>` element of a formula.

    Raises:
        ValueError: it uses what is not known here.
    """
    parser = _Parser(_TOKEN.findall(tex))
    try:
        row = parser.row()
    except IndexError:
        raise ValueError(f"formula '{tex}': something is missing at its end") from None
    if parser.tokens:
        raise ValueError(f"formula '{tex}': expected its end, got '{parser.tokens[0]}'")
    opening = '<math display="block">' if display else "<math>"
    return f"{opening}{_grouped(row)}</math>"


def _grouped(elements: list[str]) -> str:
    return elements[0] if len(elements) == 1 else f"<mrow>{''.join(elements)}</mrow>"


def _operator(sign: str, attributes: str = "") -> str:
    return f"<mo{attributes}>{escape(sign)}</mo>"


class _Parser:
    """Reads tokens from the front."""

    def __init__(self, tokens: list[str]):
        self.tokens = tokens

    def next(self) -> str:
        return self.tokens[0] if self.tokens else ""

    def row(self) -> list[str]:
        """Elements up to the end or a closing brace."""
        found: list[str] = []
        while self.tokens and self.next() != "}":
            head = self.next()
            function = head.lstrip("\\") in FUNCTIONS
            if function and found and not found[-1].startswith(("<mo", "<mspace")):
                found.append(_space(SPACES[r"\,"]))
            found.append(self.scripted(self.number() if head.isdigit() else self.atom(), head.lstrip("\\") in LIMITS))
            if function and self.next() not in ("(", ""):
                found.append(_space(SPACES[r"\,"]))
        return found

    def number(self) -> str:
        digits = ""
        while self.next().isdigit() or (self.next() == "." and "".join(self.tokens[1:2]).isdigit()):
            digits += self.tokens.pop(0)
        return f"<mn>{digits}</mn>"

    def scripted(self, base: str, limits: bool) -> str:
        """The base with what hangs on it."""
        below = above = ""
        while self.next() in ("_", "^", "'"):
            mark = self.tokens.pop(0)
            if mark == "_":
                below = self.atom()
            else:
                above += _operator("′") if mark == "'" else self.atom()
        above = f"<mrow>{above}</mrow>" if above.count("<m") > 1 else above
        kinds = ("munder", "mover", "munderover") if limits else ("msub", "msup", "msubsup")
        if below and above:
            return f"<{kinds[2]}>{base}{below}{above}</{kinds[2]}>"
        kind = kinds[0] if below else kinds[1]
        return f"<{kind}>{base}{below or above}</{kind}>" if below or above else base

    def atom(self) -> str:
        """One token with its arguments, or a group."""
        token = self.tokens.pop(0)
        if token == "{":
            inside = self.row()
            self.tokens.pop(0)
            return _grouped(inside)
        if token in SPACES:
            return _space(SPACES[token])
        if token in FENCES:
            return _operator(FENCES[token], ' stretchy="false" lspace="0" rspace="0"')
        return self.command(token[1:]) if token.startswith("\\") else _sign(token)

    def command(self, name: str) -> str:
        if name.startswith("text{"):
            kind = "mtext" if " " in name else "mi"
            return f"<{kind}>{escape(name[5:-1])}</{kind}>"
        if name in ("frac", "tfrac"):
            both = self.atom() + self.atom()
            style = ' displaystyle="false"' if name == "tfrac" else ""
            return f"<mstyle{style}><mfrac>{both}</mfrac></mstyle>"
        if name == "sqrt":
            return f"<msqrt>{self.atom()}</msqrt>"
        if name in ACCENTS:
            return f'<mover accent="true">{self.atom()}{_operator(ACCENTS[name])}</mover>'
        if name in SIZES:
            size = f' stretchy="true" minsize="{SIZES[name]}em" maxsize="{SIZES[name]}em"'
            return _operator(FENCES[self.tokens.pop(0)], size)
        return _named(name)


def _named(name: str) -> str:
    if name in LETTERS:
        upright = ' mathvariant="normal"' if name[0].isupper() else ""
        return f"<mi{upright}>{LETTERS[name]}</mi>"
    if name == "mid":
        return _operator("|", ' stretchy="false" lspace="0.2em" rspace="0.2em"')
    if name in OPERATORS:
        return _operator(OPERATORS[name])
    if name in LIMITS:
        return _operator(LIMITS[name], ' movablelimits="true" lspace="0.1em" rspace="0.17em"')
    if name in FUNCTIONS:
        return f"<mi>{name}</mi>"
    raise ValueError(f"'\\{name}' is not known; add it to docs/mathml.py")


def _space(width: float) -> str:
    return f'<mspace width="{width}em"/>'


def _sign(token: str) -> str:
    if token.isalpha():
        return f"<mi>{token}</mi>"
    if token.isdigit():
        return f"<mn>{token}</mn>"
    if token == "/":
        return _operator("/", ' lspace="0" rspace="0"')
    return _operator({"-": "−", "*": "∗"}.get(token, token))
