#include "muonlab/optim/replay.h"

#include <ATen/ATen.h>

#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "muonlab/core/error.h"
#include "muonlab/linalg/tensor_view.h"
#include "muonlab/optim/optimizer.h"
#include "muonlab/optim/route.h"

namespace muonlab::optim {

namespace {

using formats::Json;
using formats::json_number;

constexpr std::array<core::Named<at::ScalarType>, 4> kDtypes = {
    {{at::kDouble, "float64"},
     {at::kFloat, "float32"},
     {at::kBFloat16, "bfloat16"},
     {at::kHalf, "float16"}}};

[[noreturn]] void wrong(const std::string& what) {
  throw Error(ErrorKind::kInvalidArgument, "replay: " + what);
}

void check_keys(const Json& request) {
  static const std::vector<std::string> kKeys = {
      "rule", "options", "dtype", "shape", "w0", "gradients", "role", "blocks"};
  if (!request.is_object()) wrong("got no JSON object");
  for (const auto& item : request.items()) {
    if (std::find(kKeys.begin(), kKeys.end(), item.key()) == kKeys.end()) {
      wrong(concat("unknown key '", item.key(), "'",
                   core::suggestion(item.key(), kKeys)));
    }
  }
  for (const char* key : {"rule", "shape", "w0", "gradients"}) {
    if (!request.contains(key)) wrong(concat("key '", key, "' is missing"));
  }
  for (const char* key : {"shape", "w0", "gradients"}) {
    if (!request[key].is_array()) wrong(concat(key, ": expected a list"));
  }
  if (!request["rule"].is_string()) wrong("rule: expected a name");
}

std::vector<std::int64_t> shape_of(const Json& request) {
  std::vector<std::int64_t> shape;
  for (const Json& d : request["shape"]) {
    if (!d.is_number_integer() || d.get<std::int64_t>() < 1 ||
        d.get<std::int64_t>() > 1'000'000) {
      wrong(concat("shape: got ", request["shape"].dump(),
                   ", expected whole numbers from 1 to 1000000"));
    }
    shape.push_back(d.get<std::int64_t>());
  }
  return shape;
}

at::Tensor tensor_from(const Json& values,
                       const std::vector<std::int64_t>& shape,
                       at::ScalarType dtype, const std::string& key) {
  if (!values.is_array()) wrong(concat(key, ": expected a list of numbers"));
  std::vector<double> numbers;
  for (const Json& v : values) {
    numbers.push_back(formats::number_from_json(v, "replay: " + key));
  }
  std::size_t count = 1;
  for (const std::int64_t d : shape) count *= static_cast<std::size_t>(d);
  if (numbers.size() != count) {
    wrong(concat(key, ": got ", numbers.size(), " values, expected ", count));
  }
  return linalg::tensor_of(numbers).view(shape).to(dtype);
}

struct Wish {
  GroupOptions options;
  Json q0;  // null if not given
};

Wish wish_of(const Json& request) {
  Wish wish{preset(request["rule"].get<std::string>()), Json()};
  const Json given = request.value("options", Json::object());
  if (!given.is_object()) wrong("options: expected an object");
  OptionMap map;
  const auto put = [&](const std::string& name, const Json& value) {
    map.emplace(name, option_from_json(value, "replay: " + name));
  };
  for (const auto& item : given.items()) {
    const std::string& name = item.key();
    const Json& value = item.value();
    const auto number = [&] {
      return formats::number_from_json(value, "replay: " + name);
    };
    if (name == "lr") {
      wish.options.lr(number());
    } else if (name == "weight_decay") {
      wish.options.weight_decay(number());
    } else if (name == "betas") {
      if (!value.is_array() || value.size() != 2) {
        wrong("betas: expected two numbers");
      }
      put("beta1", value[0]);
      put("beta2", value[1]);
    } else if (name == "polar") {
      if (!value.is_object()) wrong("polar: expected an object");
      for (const auto& part : value.items()) {
        put("polar_" + part.key(), part.value());
      }
    } else if (name == "q0") {
      wish.q0 = value;
    } else {
      put(name, value);
    }
  }
  set_options(wish.options.update(), map, "replay: ");
  validate(wish.options, "replay");
  return wish;
}

Role role_of(const Json& request, std::size_t dimensions) {
  if (request.contains("role")) {
    return role_from_name(request["role"].get<std::string>());
  }
  if (dimensions < 2) return Role::kVector;
  return dimensions == 2 ? Role::kMatrix : Role::kConvKernel;
}

std::vector<RowBlock> blocks_of(const Json& request) {
  std::vector<RowBlock> blocks;
  for (const Json& b : request.value("blocks", Json::array())) {
    if (!b.is_object() || !b.contains("name") || !b.contains("rows")) {
      wrong("blocks: expected objects with name and rows");
    }
    blocks.push_back(
        {b["name"].get<std::string>(), b["rows"].get<std::int64_t>()});
  }
  return blocks;
}

Json values_json(const at::Tensor& tensor) {
  Json list = Json::array();
  const bool wide = tensor.scalar_type() == at::kDouble;
  for (const double v : linalg::values_of(tensor.detach())) {
    list.push_back(wide ? json_number(v) : json_number(static_cast<float>(v)));
  }
  return list;
}

Json resolved_options(const GroupOptions& options) {
  Json all = {{"lr", json_number(options.lr())},
              {"weight_decay", json_number(options.weight_decay())}};
  for (const auto& [name, value] : option_values(options.update())) {
    all[name] = option_json(value);
  }
  return all;
}

}  // namespace

Json replay(const Json& request) {
  if (request.is_array()) {
    Json results = Json::array();
    for (const Json& one : request) results.push_back(replay(one));
    return results;
  }
  check_keys(request);
  const Wish wish = wish_of(request);
  const auto dtype = core::value_in<at::ScalarType>(
      kDtypes, request.value("dtype", std::string("float64")), "replay: dtype");
  const auto shape = shape_of(request);
  at::Tensor weight = tensor_from(request["w0"], shape, dtype, "w0");
  weight.set_requires_grad(true);
  // Both defaults are the rule: whatever the role, it decides.
  RouteOptions routing;
  routing.hidden = wish.options;
  routing.auxiliary = wish.options;
  Optimizer optimizer(
      route({{"w", weight, role_of(request, shape.size()), blocks_of(request)}},
            routing));
  if (!wish.q0.is_null()) {
    at::Tensor basis = optimizer.state_tensor("w", "basis");
    basis.copy_(tensor_from(wish.q0, basis.sizes().vec(), at::kDouble, "q0"));
  }
  Json after = Json::array();
  Json rms = Json::array();
  for (const Json& values : request["gradients"]) {
    const at::NoGradGuard no_grad;
    const at::Tensor before = weight.detach().to(at::kDouble).clone();
    weight.mutable_grad() = tensor_from(
        values, shape, dtype, concat("gradients[", after.size(), "]"));
    optimizer.step();
    after.push_back(values_json(weight));
    const double moved =
        weight.detach().to(at::kDouble).sub(before).norm().item<double>();
    const double unit =
        wish.options.lr() * std::sqrt(static_cast<double>(weight.numel()));
    rms.push_back(unit > 0 ? json_number(moved / unit) : Json());
  }
  return {{"schema", 1},
          {"rule", request["rule"]},
          {"options", resolved_options(wish.options)},
          {"w", after},
          {"update_rms", rms}};
}

}  // namespace muonlab::optim
