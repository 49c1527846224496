#include "tools/muonlab/runs_table.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iostream>
#include <iterator>
#include <map>
#include <optional>

#include "muonlab/core/error.h"
#include "muonlab/core/files.h"
#include "muonlab/core/text.h"
#include "muonlab/formats/json.h"

namespace muonlab::tools {

namespace {

using formats::Json;

constexpr const char* kForm =
    "a header `arm,seed,value` and one line per run, or JSON rows of these; "
    "`seed` may be left out";

[[noreturn]] void corrupt(const std::string& message,
                          const std::string& hint = "") {
  throw Error(ErrorKind::kCorruptData, message, hint);
}

std::string trimmed(std::string text) {
  const char* blanks = " \t";
  text.erase(0, std::min(text.find_first_not_of(blanks), text.size()));
  text.erase(text.find_last_not_of(blanks) + 1);
  return text;
}

struct Record {
  std::vector<std::string> cells;
  std::size_t line = 0;  // where it begins, from 1
};

// RFC 4180: cells may stand in double quotes, which are doubled inside.
std::vector<Record> csv_records(const std::string& name,
                                const std::string& text) {
  std::vector<Record> records;
  Record record{{}, 1};
  std::string cell;
  bool quoted = false;
  bool was_quoted = false;
  std::size_t line = 1;
  const auto end_cell = [&] {
    record.cells.push_back(was_quoted ? cell : trimmed(cell));
    cell.clear();
    was_quoted = false;
  };
  const auto end_record = [&] {
    end_cell();
    const bool blank = record.cells.size() == 1 && record.cells[0].empty();
    if (!blank) records.push_back(record);
    record = {{}, line};
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n') ++line;
    if (quoted) {
      if (c != '"') {
        cell += c;
      } else if (i + 1 < text.size() && text[i + 1] == '"') {
        cell += text[++i];
      } else {
        quoted = false;
      }
    } else if (c == '"' && trimmed(cell).empty()) {
      cell.clear();
      quoted = was_quoted = true;
    } else if (c == ',') {
      end_cell();
    } else if (c == '\n') {
      end_record();
    } else if (c != '\r') {
      cell += c;
    }
  }
  if (quoted) {
    corrupt(concat(name, ": line ", record.line, ": a quote is not closed"));
  }
  if (!cell.empty() || !record.cells.empty()) end_record();
  return records;
}

// Collects rows and refuses what cannot be compared; `where` names the row.
class Collector {
 public:
  explicit Collector(std::string name) : name_(std::move(name)) {}

  void add(const std::string& where, std::string arm,
           std::optional<std::string> seed, double value) {
    const std::string place = name_ + ": " + where;
    if (arm.empty()) corrupt(place + ": the arm has no name");
    if (!std::isfinite(value)) {
      corrupt(concat(place, ": value of arm '", arm, "' is not finite: got ",
                     value),
              "give a diverged run the loss at its start, so that it counts, "
              "or take it out of every arm");
    }
    if (seed) {
      if (seed->empty()) corrupt(place + ": the seed is empty");
      const auto [first, added] = places_.emplace(std::pair(arm, *seed), where);
      if (!added) {
        corrupt(concat(place, ": second value of arm '", arm, "', seed ", *seed,
                       "; the first: ", first->second),
                table.other_columns.empty()
                    ? "keep one value for each arm and seed"
                    : "keep one value for each arm and seed: choose rows by "
                      "the other columns first (" +
                          core::join(table.other_columns, ", ") + ")");
      }
      table.has_seeds = true;
    }
    table.runs.push_back({std::move(arm), seed.value_or(""), value});
  }

  RunsTable table;

 private:
  std::string name_;
  std::map<std::pair<std::string, std::string>, std::string> places_;
};

double number_of(const std::string& where, const std::string& text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || rest != end) {
    corrupt(where + ": value: got '" + text + "', expected a number");
  }
  return value;
}

RunsTable from_csv(const std::string& name, const std::string& text) {
  const std::vector<Record> records = csv_records(name, text);
  const std::vector<std::string>& header = records.front().cells;
  const auto column = [&](const char* wanted) -> std::optional<std::size_t> {
    const auto found = std::find(header.begin(), header.end(), wanted);
    if (found == header.end()) return std::nullopt;
    if (std::count(header.begin(), header.end(), wanted) > 1) {
      corrupt(name + ": two columns are named '" + wanted + "'");
    }
    return static_cast<std::size_t>(found - header.begin());
  };
  const auto arm = column("arm");
  const auto seed = column("seed");
  const auto value = column("value");
  if (!arm || !value) {
    corrupt(concat(name, ": no column '", arm ? "value" : "arm",
                   "': the header has ", core::join(header, ", ")),
            std::string("expected ") + kForm);
  }
  Collector rows(name);
  for (std::size_t i = 0; i < header.size(); ++i) {
    if (i != arm && i != seed && i != value) {
      rows.table.other_columns.push_back(header[i]);
    }
  }
  for (std::size_t i = 1; i < records.size(); ++i) {
    const auto& [cells, line] = records[i];
    const std::string where = "line " + std::to_string(line);
    if (cells.size() != header.size()) {
      corrupt(concat(name, ": ", where, ": got ", cells.size(),
                     " cells, expected ", header.size(), " as in the header"));
    }
    rows.add(where, cells[*arm],
             seed ? std::optional(cells[*seed]) : std::nullopt,
             number_of(name + ": " + where, cells[*value]));
  }
  return rows.table;
}

std::string text_of(const std::string& where, const Json& cell) {
  if (cell.is_string()) return cell.get<std::string>();
  if (cell.is_number() || cell.is_boolean()) return cell.dump();
  corrupt(where + ": got " + cell.dump() + ", expected text or a number");
}

RunsTable from_json(const std::string& name, const std::string& text) {
  Json page;
  try {
    page = Json::parse(text);
  } catch (const Json::parse_error& error) {
    corrupt(concat(name, ": not JSON: fault at byte ", error.byte));
  }
  if (page.is_object()) {
    const auto found = page.find("rows");
    if (found == page.end()) {
      corrupt(name + ": the object has no \"rows\"",
              std::string("expected ") + kForm);
    }
    const Json rows = *found;
    page = rows;
  }
  if (!page.is_array()) {
    corrupt(name + ": the rows are not an array",
            std::string("expected ") + kForm);
  }
  Collector rows(name);
  for (std::size_t i = 0; i < page.size(); ++i) {
    const std::string where = "row " + std::to_string(i + 1);
    const std::string place = name + ": " + where;
    const Json& row = page[i];
    if (!row.is_object()) corrupt(place + ": not an object");
    for (const char* key : {"arm", "value"}) {
      if (!row.contains(key)) corrupt(concat(place, ": no key '", key, "'"));
    }
    auto& others = rows.table.other_columns;
    for (const auto& [key, cell] : row.items()) {
      const bool used = key == "arm" || key == "seed" || key == "value";
      if (!used &&
          std::find(others.begin(), others.end(), key) == others.end()) {
        others.push_back(key);
      }
    }
    const bool seed = row.contains("seed");
    if (seed != page[0].contains("seed")) {
      corrupt(place + ": some rows have a 'seed' and some have none");
    }
    rows.add(where, text_of(place + ": arm", row["arm"]),
             seed ? std::optional(text_of(place + ": seed", row["seed"]))
                  : std::nullopt,
             formats::number_from_json(row["value"], place + ": value"));
  }
  return rows.table;
}

}  // namespace

RunsTable read_runs(const std::string& path) {
  const bool piped = path == "-";
  const std::string name = piped ? "stdin" : path;
  std::string text = piped ? std::string(std::istreambuf_iterator(std::cin), {})
                           : core::read_file(path);
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);  // a byte order mark
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) {
    corrupt(name + ": is empty", std::string("expected ") + kForm);
  }
  const bool json = text[first] == '[' || text[first] == '{';
  RunsTable table = json ? from_json(name, text) : from_csv(name, text);
  if (table.runs.empty()) {
    corrupt(name + ": has no runs", std::string("expected ") + kForm);
  }
  const auto& runs = table.runs;
  if (std::all_of(runs.begin(), runs.end(), [&](const statistics::Run& run) {
        return run.arm == runs.front().arm;
      })) {
    corrupt(name + ": has one arm, '" + runs.front().arm +
                "': a comparison needs two",
            "the column `arm` says which optimizer or setting a run had");
  }
  return table;
}

}  // namespace muonlab::tools
