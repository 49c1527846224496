// Writes the conformance cases, one file per rule, or compares with them.
//
// usage: write_cases DIR            writes DIR/RULE.json and DIR/golden.json;
//                                   a rule of many pairs has them in
//                                   DIR/RULE-pairs.json
//        write_cases --check DIR    exit code 1 where they say something else
//        write_cases --statistics   prints the number of cases and of pairs
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <string>

#include "tests/reference/cases.h"

namespace {

using muonlab::reference::Case;
using muonlab::reference::Matrix;
using muonlab::reference::Options;
using muonlab::reference::RuleCases;
using muonlab::reference::Value;
using Json = nlohmann::ordered_json;

// Whole numbers without a point, so that they suit options that are whole.
Json number(double value) {
  if (value == std::floor(value) && std::abs(value) < 1e6) {
    return static_cast<int>(value);
  }
  return value;
}

Json to_json(const Value& value) {
  if (const auto* real = std::get_if<double>(&value)) return number(*real);
  if (const auto* flag = std::get_if<bool>(&value)) return *flag;
  return std::get<std::string>(value);
}

Json to_json(const Matrix& matrix) {
  Json array = Json::array();
  for (const double value : matrix.values) array.push_back(number(value));
  return array;
}

// Two digits are enough, and rounding up keeps it an upper bound.
double two_digits_up(double value) {
  const double unit = std::pow(10, std::floor(std::log10(value)) - 1);
  char text[32];
  std::snprintf(text, sizeof text, "%.1e", std::ceil(value / unit) * unit);
  return std::stod(text);
}

Json to_json(const Case& c) {
  Json json = {{"name", c.name}, {"rule", c.input.rule}};
  json["options"] = Json::object();
  for (const auto& [name, value] : c.input.options) {
    json["options"][name] = to_json(value);
  }
  json["shape"] = {c.input.w0.rows, c.input.w0.columns};
  json["w0"] = to_json(c.input.w0);
  if (c.input.q0) {
    json["q0_shape"] = {c.input.q0->rows, c.input.q0->columns};
    json["q0"] = to_json(*c.input.q0);
  }
  json["gradients"] = Json::array();
  for (const Matrix& g : c.input.gradients) {
    json["gradients"].push_back(to_json(g));
  }
  json["steps_checked"] = c.steps_checked;
  json["w"] = Json::array();
  for (const Matrix& w : c.weights) json["w"].push_back(to_json(w));
  json["tolerance"]["float64"] = two_digits_up(c.tolerance.float64);
  json["tolerance"]["float32"] =
      c.tolerance.float32 ? Json(two_digits_up(*c.tolerance.float32)) : Json();
  json["why"] = c.why;
  return json;
}

Json file_of(const std::string& rule, const std::vector<Case>& cases) {
  Json json = {{"schema", 1}, {"rule", rule}, {"generator", "write_cases"}};
  json["cases"] = Json::array();
  for (const Case& c : cases) json["cases"].push_back(to_json(c));
  return json;
}

// FILE: its content.
std::map<std::string, Json> all_files() {
  constexpr std::size_t kManyPairs = 100;  // they alone fill a file
  std::map<std::string, Json> files;
  for (const std::string& rule : muonlab::reference::twin_names()) {
    RuleCases made = muonlab::reference::cases_of(rule);
    if (const std::size_t rows = made.covering.rows.size(); rows > kManyPairs) {
      const auto pairs = made.cases.end() - static_cast<std::ptrdiff_t>(rows);
      files[rule + "-pairs.json"] = file_of(rule, {pairs, made.cases.end()});
      made.cases.erase(pairs, made.cases.end());
    }
    files[rule + ".json"] = file_of(rule, made.cases);
  }
  files["golden.json"] = file_of("golden", muonlab::reference::golden_cases());
  return files;
}

// One line per case, so that a change shows which cases it changes.
std::string text_of(const Json& file) {
  std::string text = "{\"schema\":1,\"rule\":" + file["rule"].dump() +
                     ",\"generator\":\"write_cases\",\"cases\":[\n";
  for (std::size_t i = 0; i < file["cases"].size(); ++i) {
    text += (i == 0 ? "" : ",\n") + file["cases"][i].dump();
  }
  return text + "\n]}\n";
}

void write(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  constexpr std::size_t kLargest = 100000;  // bytes
  for (const auto& [name, file] : all_files()) {
    const std::string text = text_of(file);
    if (text.size() >= kLargest) {
      throw std::runtime_error(name + " has " + std::to_string(text.size()) +
                               " bytes, and 100 kB is the end");
    }
    std::ofstream out(folder / name, std::ios::binary);
    out << text;
    if (!out.flush()) throw std::runtime_error("cannot write " + name);
  }
}

// Where two values differ: weights by more than 1e-12 of the largest one,
// tolerances by more than a fifth, all else at all. Empty: nowhere.
std::string difference(const Json& found, const Json& made) {
  for (const auto& [key, value] : made.items()) {
    if (!found.contains(key)) return "no " + key;
    if (key == "w" || key == "tolerance") continue;
    if (found[key] != value) return key;
  }
  if (found.size() != made.size()) return "keys";
  const auto apart = [](const Json& a, const Json& b, double within) {
    if (!a.is_number() || !b.is_number()) return a != b;
    return !(std::abs(a.get<double>() - b.get<double>()) <= within);
  };
  for (const auto* dtype : {"float64", "float32"}) {
    const Json& limit = made["tolerance"][dtype];
    const double within = limit.is_null() ? 0 : limit.get<double>() / 5;
    if (apart(found["tolerance"].value(dtype, Json()), limit, within)) {
      return std::string("tolerance of ") + dtype;
    }
  }
  if (found["w"].size() != made["w"].size()) return "number of weights";
  for (std::size_t t = 0; t < made["w"].size(); ++t) {
    const auto weights = made["w"][t].get<std::vector<double>>();
    double largest = 0;
    for (const double w : weights) largest = std::max(largest, std::abs(w));
    if (found["w"][t].size() != weights.size()) return "size of a weight";
    for (std::size_t i = 0; i < weights.size(); ++i) {
      if (apart(found["w"][t][i], weights[i], 1e-12 * largest)) {
        return "weight " + std::to_string(i) + " after step " +
               made["steps_checked"][t].dump();
      }
    }
  }
  return "";
}

int complain(const std::string& file, const std::string& what) {
  std::printf("%s: %s\n", file.c_str(), what.c_str());
  return 1;
}

int check_file(const std::filesystem::path& path, const Json& made) {
  const std::string name = path.filename().string();
  std::ifstream in(path, std::ios::binary);
  if (!in) return complain(name, "is missing");
  const Json found = Json::parse(in);
  for (const auto* key : {"schema", "rule", "generator"}) {
    if (found.at(key) != made[key]) return complain(name, key);
  }
  const Json& cases = found.at("cases");
  if (cases.size() != made["cases"].size()) {
    return complain(name, "other number of cases");
  }
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const Json& expected = made["cases"][i];
    const std::string what = difference(cases[i], expected);
    if (!what.empty()) {
      return complain(
          name, expected["name"].get<std::string>() + ": differs in " + what);
    }
  }
  return 0;
}

int check(const std::filesystem::path& folder) {
  const std::map<std::string, Json> files = all_files();
  int code = 0;
  for (const auto& [name, made] : files) {
    code = std::max(code, check_file(folder / name, made));
  }
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!files.contains(name)) code = complain(name, "belongs to no rule");
  }
  std::printf("%zu files, %s\n", files.size(),
              code == 0 ? "all as generated" : "run write_cases DIR");
  return code;
}

void print_statistics() {
  std::printf("%-20s %5s %7s %5s %9s %4s %7s\n", "rule", "cases", "choices",
              "pairs", "forbidden", "rows", "float32");
  for (const std::string& rule : muonlab::reference::twin_names()) {
    const RuleCases made = muonlab::reference::cases_of(rule);
    const auto single = std::count_if(
        made.cases.begin(), made.cases.end(),
        [](const Case& c) { return c.tolerance.float32.has_value(); });
    std::printf("%-20s %5zu %7zu %5zu %9zu %4zu %7td\n", rule.c_str(),
                made.cases.size(), made.covering.choices, made.covering.pairs,
                made.covering.forbidden, made.covering.rows.size(), single);
  }
}

}  // namespace

int main(int count, char** arguments) {
  try {
    const std::string first = count > 1 ? arguments[1] : "";
    if (count == 3 && first == "--check") return check(arguments[2]);
    if (count == 2 && first == "--statistics") {
      print_statistics();
      return 0;
    }
    if (count == 2 && !first.empty() && first[0] != '-') {
      write(first);
      return 0;
    }
    std::fputs("usage: write_cases DIR | --check DIR | --statistics\n", stderr);
    return 2;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "write_cases: %s\n", e.what());
    return 1;
  }
}
