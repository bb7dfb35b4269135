"""Expected values of jacobian, hessian, vjp, jvp and hvp, from PyTorch, as a Lua file that
test_derivatives.lua reads:

    python3 tests/oracle_derivatives.py > tests/lua/oracle_derivatives.lua

Made with PyTorch 2.9 in double precision. The functions are those of test_derivatives.lua.
"""
import torch
from torch.autograd import functional as AF

torch.set_default_dtype(torch.float64)

x = torch.tensor([0.5, -1.0, 2.0])
a = torch.tensor([[1.0, -0.5, 0.25], [0.75, 2.0, -1.0]])
v2, v3 = torch.tensor([1.0, -2.0]), torch.tensor([0.5, 1.0, -1.5])
va = torch.tensor([[1.0, 0.0, -1.0], [0.5, 2.0, 1.0]])


def vector(a, x):
    return torch.tanh(a.mv(x)) * x[0]


def two(x):
    return x.exp(), (x * x).sum()


def number(a, x):
    return (a.mv(x) ** 2).sum() * x.sin().prod()


def lua(value):
    if isinstance(value, (tuple, list)):
        return "{" + ", ".join(lua(v) for v in value) + "}"
    return repr(value.tolist()).replace("[", "{").replace("]", "}")


def only(f):
    return lambda x: f(a, x)


cases = {
    "jacobian_one": AF.jacobian(only(vector), x),
    "jacobian_list": AF.jacobian(vector, (a, x)),
    "jacobian_two": AF.jacobian(two, x),
    "hessian_one": AF.hessian(only(number), x),
    "hessian_list": AF.hessian(number, (a, x)),
    "vjp_one": AF.vjp(only(vector), x, v2),
    "vjp_list": AF.vjp(vector, (a, x), v2),
    "vjp_number": AF.vjp(only(number), x),
    "vjp_two": AF.vjp(two, x, (v3, torch.tensor(2.0))),
    "jvp_one": AF.jvp(only(vector), x, v3),
    "jvp_list": AF.jvp(vector, (a, x), (va, v3)),
    "jvp_two": AF.jvp(two, x, v3),
    "hvp_one": AF.hvp(only(number), x, v3),
    "hvp_list": AF.hvp(number, (a, x), (va, v3)),
}

print("-- Expected derivatives of functions; tests/oracle_derivatives.py writes this file.")
print("return {")
for name, value in cases.items():
    print(f"  {name} = {lua(value)},")
print("}")
