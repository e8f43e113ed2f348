"""Who can use a function: the truth table of docs/guides/exposure.md, evaluated over the documents themselves.

Written from the table, not from the SQL. It knows well-formed policies alone.
"""

import re
from fnmatch import fnmatchcase

ORDER = (
    "internet",
    "any_aws_account",
    "any_aws_account_via_url",
    "public?",
    "unknown",
    "confused_deputy",
    "foreign_service_source",
    "service_weak",
    "cross_account",
    "latent",
    "url_broken",
    "organization",
    "limited",
    "dead_principal",
    "own_service",
    "own_account",
    "none",
)
CLASSES = ("change", "read code", "invoke", "other")
OPERATORS = ("StringEquals", "StringLike", "ArnEquals", "ArnLike", "IpAddress", "Bool")
LIMITS = {
    *("aws:sourcearn", "aws:sourceaccount", "aws:sourceowner", "aws:principalaccount", "aws:principalarn"),
    *("aws:sourcevpc", "aws:sourcevpce", "aws:userid", "aws:sourceip", "lambda:eventsourcetoken"),
}
ORGANIZATIONS = {"aws:principalorgid", "aws:principalorgpaths", "aws:sourceorgid", "aws:sourceorgpaths"}
URL_KEYS = (
    ("lambda:functionurlauthtype", "NONE"),
    ("lambda:functionurlauthtype", "AWS_IAM"),
    ("lambda:invokedviafunctionurl", "true"),
)
URL, INVOKE = "lambda:invokefunctionurl", "lambda:invokefunction"
CHANGES = ("add", "create", "delete", "disable", "enable", "publish", "put", "remove", "tag", "untag", "update")


def listed(value):
    return value if isinstance(value, list) else [value]


# --- conditions -------------------------------------------------------------------------------------------------------


def is_fixed(kind, key, value):
    value = str(value)
    if "${" in value or (kind.startswith("Arn") and not value.startswith("arn:")):
        return False
    if value.startswith("arn:"):
        parts = value.split(":", 5)
        return bool(re.fullmatch(r"\d{12}", parts[4])) or (parts[2] == "s3" and not re.search(r"[*?]", parts[5]))
    if kind == "Bool":
        return value == "true" and key == "lambda:invokedviafunctionurl"
    if key == "aws:sourceip":
        return int(value.partition("/")[2] or 32) >= (104 if value.startswith("::ffff:") else 8)
    if key.endswith("orgpaths"):
        value = value.split("/")[0]
    return not re.search(r"[*?]", value)


def address_count(network):
    """Return how many addresses of IPv4 a network has; it knows networks that do not overlap."""
    prefix = int(network.partition("/")[2] or 32)
    return 2 ** ((128 if network.startswith("::ffff:") else 32) - prefix)


def good_keys(statement):
    """Return the values of each key whose operator and values limit an Allow, and whether there is any other key."""
    good, has_others = [], False
    for operator, keys in statement.get("Condition", {}).items():
        kind = operator.removeprefix("ForAnyValue:")
        for key, values in keys.items():
            name = key.lower()
            if (
                kind in OPERATORS
                and all(is_fixed(kind, name, value) for value in listed(values))
                and not (name == "aws:sourceip" and sum(map(address_count, set(listed(values)))) >= 2 * 2**24)
            ):
                good.append((name, [str(value) for value in listed(values)]))
            else:
                has_others = True
    return good, has_others


def has_condition(statement):
    return bool(statement.get("Condition"))


def only(statement, key, value):
    good, has_others = good_keys(statement)
    return bool(good) and not has_others and all(name == key and set(values) == {value} for name, values in good)


def accounts_of(key, values):
    """Return the accounts that source values name, or None where one of them names none."""
    if key in ("aws:sourceaccount", "aws:sourceowner"):
        return set(values) if all(re.fullmatch("[0-9]{12}", value) for value in values) else None
    if key == "aws:sourcearn":
        accounts = {value.split(":")[4] for value in values}
        return accounts if "" not in accounts else None
    return None


# --- principals and actions -------------------------------------------------------------------------------------------


def principals(statement):
    """Yield type and principal; a NotPrincipal has the type None."""
    if "NotPrincipal" in statement:
        yield None, None
    elif statement["Principal"] == "*":
        yield "AWS", "*"
    else:
        for type_, names in statement["Principal"].items():
            for name in listed(names):
                yield type_, name


def account_of(principal):
    return principal.split(":")[4] if principal.startswith("arn:") else principal


def covers(patterns, action):
    return any(fnmatchcase(action, pattern.lower()) for pattern in listed(patterns))


def accesses(statement):
    """Yield what a statement is about: the kind of access, the class, and the text of the action."""
    if "NotAction" in statement:
        excluded = listed(statement["NotAction"])
        for access, action in (("url", URL), ("invoke", INVOKE)):
            if not covers(excluded, action):
                yield access, "invoke", None
        if not {"*", "lambda:*"} & {text.lower() for text in excluded}:
            yield "other", "change", None
        return
    for text in map(str.lower, listed(statement["Action"])):
        for access, action in (("url", URL), ("invoke", INVOKE)):
            if covers(text, action):
                yield access, "invoke", text
        if text not in (URL, INVOKE) and not (text.startswith("lambda:invoke") and text.endswith("*")):
            yield "other", class_of(text), text


def class_of(text):
    changes = [f"lambda:{verb}" for verb in CHANGES]
    head = text.removesuffix("*")
    if any(head.startswith(change) or (text.endswith("*") and change.startswith(head)) for change in changes):
        return "change"
    if covers(text, "lambda:getfunction"):
        return "read code"
    return "invoke" if head.startswith("lambda:invoke") else "other"


# --- Deny -------------------------------------------------------------------------------------------------------------


def denial(deny, type_, principal, access, text, own_arn):
    """Return what a Deny does to one grant: nothing, `?`, or that it removes it."""
    resources = listed(deny.get("Resource", "*"))
    function, _, qualifier = own_arn.partition(":function:")[2].partition(":")
    base = own_arn.partition(":function:")[0] + f":function:{function}"
    covering = {"*", own_arn, f"{base}*", *([f"{base}:*"] if qualifier else [])}
    if "NotResource" in deny or not covering & set(resources):
        return ""
    if access in ("url", "invoke"):
        if access not in {found for found, _, _ in accesses(deny)}:
            return ""
    elif "NotAction" in deny or not any(
        other.lower() in (text, "*", "lambda:*")
        or (other.endswith("*") and text and text.startswith(other[:-1].lower()))
        for other in listed(deny["Action"])
    ):
        return ""
    strengths = set()
    for other_type, other in principals(deny):
        if other_type is None:
            strengths.add("?")
        elif (other_type == "AWS" and other == "*") or (other_type, other) == (type_, principal):
            strengths.add("?" if has_condition(deny) else "removed")
    return "removed" if "removed" in strengths else "?" if strengths else ""


def grants(policy, own_arn):
    """Yield statement, type, principal, access, class and mark of everything that is allowed and not denied."""
    denies = [statement for statement in policy["Statement"] if statement["Effect"] == "Deny"]
    for statement in policy["Statement"]:
        if statement["Effect"] == "Allow":
            for type_, principal in principals(statement):
                for access, class_, text in accesses(statement):
                    marks = {denial(deny, type_, principal, access, text, own_arn) for deny in denies}
                    if "removed" not in marks:
                        yield statement, type_, principal, access, class_, "?" if "?" in marks else ""


# --- the table --------------------------------------------------------------------------------------------------------


def is_everyone(type_, principal):
    return principal == "*" and type_ is not None


def partner(found, access, key, value):
    """Return whether the other half of a URL's permission is there: "" surely, `?` perhaps, None not."""
    marks = [
        mark
        for statement, type_, principal, given, _, mark in found
        if given == access
        and is_everyone(type_, principal)
        and (not has_condition(statement) or only(statement, key, value))
    ]
    return min(marks, default=None)


def limit_of(found, access):
    """Return the worst limit of those who have the other half of a URL's permission under conditions, or None."""
    limits = []
    for statement, type_, principal, given, _, _ in found:
        if given == access and is_everyone(type_, principal) and has_condition(statement):
            names = {name for name, _ in good_keys(statement)[0]}
            if any(only(statement, key, value) for key, value in URL_KEYS):
                continue
            limits.append("organization" if names & ORGANIZATIONS else "limited" if names & LIMITS else "public?")
    return min(limits, key=ORDER.index, default=None)


def first(rules):
    """Return the verdict of the first rule that holds."""
    return next(verdict for holds, verdict in rules if holds)


def verdict_of(grant, found, own, url):
    """Return the verdict of one grant and its mark. ``url`` is the URL's type, None for no URL, or `unread`."""
    statement, type_, principal, access, _, mark = grant
    if type_ is not None and is_everyone(type_, principal):
        return of_everyone(statement, access, found, url, mark)
    if type_ == "Service":
        return of_service(statement, principal, access, own), mark
    is_dead = type_ == "AWS" and re.fullmatch("A(IDA|ROA)[A-Z0-9]{12,}", principal)
    account = account_of(principal) if type_ == "AWS" else ""
    rules = [
        (type_ is None, "public?"),
        (is_dead, "dead_principal"),  # row 18
        (not re.fullmatch(r"\d{12}", account), "unknown"),  # row 19
        (account == own and principal.startswith("arn:") and not principal.startswith("arn:aws:"), "unknown"),
        (account == own, "own_account"),  # row 17
        (True, "cross_account"),  # row 16
    ]
    return first(rules), mark


def of_everyone(statement, access, found, url, mark):
    is_free = not has_condition(statement)
    is_via_url = access == "invoke" and only(statement, "lambda:invokedviafunctionurl", "true")
    is_for = {
        name: access == "url" and (is_free or only(statement, "lambda:functionurlauthtype", name))
        for name in ("NONE", "AWS_IAM")
    }
    if is_via_url:
        half = partner(found, "url", "lambda:functionurlauthtype", "NONE")
    else:
        half = partner(found, "invoke", "lambda:invokedviafunctionurl", "true")
    is_of_url = is_via_url or any(is_for.values())
    names = {name for name, _ in good_keys(statement)[0]}
    verdict = first(
        [
            (is_of_url and url == "unread", "public?"),
            (is_of_url and url is None, "latent"),
            (is_via_url and url == "AWS_IAM", "any_aws_account_via_url"),  # row 4
            (is_of_url and not is_via_url and not is_for.get(url), "latent"),
            (is_of_url and half is None, limit_of(found, "url" if is_via_url else "invoke") or "url_broken"),  # row 5
            (is_of_url and url == "NONE", "internet"),  # rows 1 and 4
            (is_of_url, "any_aws_account_via_url"),  # row 6
            (is_free, "any_aws_account"),  # rows 2 and 3
            (names & ORGANIZATIONS, "organization"),  # row 7
            (names & LIMITS, "limited"),  # row 8
            (True, "public?"),  # row 9
        ]
    )
    needs_half = verdict == "internet" or (verdict == "any_aws_account_via_url" and not is_via_url)
    return verdict, mark or (half if needs_half else "")


def of_service(statement, principal, access, own):
    good, _ = good_keys(statement)
    sources = [accounts for key, values in good if (accounts := accounts_of(key, values)) is not None]
    names = {name for name, _ in good}
    is_alexa = re.fullmatch(r"alexa-.*\.amazon\.com", principal)
    return first(
        [
            ({own} in sources, "own_service"),  # row 10
            (sources, "foreign_service_source"),  # row 11
            (names & {"aws:sourceorgid", "aws:sourceorgpaths"}, "organization"),
            (principal == "s3.amazonaws.com" and "aws:sourcearn" in names, "service_weak"),  # row 12
            (principal in ("secretsmanager.amazonaws.com", "eks.amazonaws.com"), "own_service"),  # row 13
            (is_alexa and access == "invoke" and "lambda:eventsourcetoken" in names, "limited"),  # row 14
            (True, "confused_deputy"),  # row 15
        ]
    )


def evaluate(policy, own_arn, *, url=None, is_policy_read=True, is_url_read=True):
    """Return the verdict and the class of a function, alias or version."""
    own = own_arn.split(":")[4]
    url = url if is_url_read else "unread"
    if not is_policy_read:
        return ("internet?" if url == "NONE" else "unread"), None
    found = list(grants(policy, own_arn)) if policy else []
    judged = []
    for grant in found:
        verdict, mark = verdict_of(grant, found, own, url)
        mark = "" if verdict == "public?" else mark
        judged.append((ORDER.index(verdict), bool(mark), CLASSES.index(grant[4]), verdict + mark))
    opens_url = any(
        access == "url" and (type_ is None or is_everyone(type_, name)) for _, type_, name, access, _, _ in found
    )
    if url == "NONE" and not opens_url:
        judged.append((ORDER.index("url_broken"), False, len(CLASSES), "url_broken"))
    judged.append((ORDER.index("none"), False, len(CLASSES), "none"))
    _, _, class_, verdict = min(judged)
    return verdict, (*CLASSES, None)[class_]
