// ... : f32[N,64] {owner="layer1.0", class="torchvision.models.resnet.BasicBlock",
// source="net.py:41",
//                  origins=["conv1", "bn1"], device="CPU", mode}
#include "fxq/base/status.h"
#include "fxq/graph/graph_reader.h"
#include "fxq/graph/parse_value.h"

namespace fxq {

absl::StatusOr<GraphReader::Facts> GraphReader::read_facts() {
  Facts facts;
  if (lexer_.take_if(":")) {
    FXQ_ASSIGN_OR_RETURN(facts.type, read_type(lexer_));
  }
  if (!lexer_.peek().is("{")) return facts;
  FXQ_RETURN_IF_ERROR(read_braces(lexer_, [&](const Token& key) { return read_fact(key, facts); }));
  return facts;
}

absl::Status GraphReader::read_fact(const Token& key, Facts& facts) {
  if (key.is("mode")) {
    facts.follows_mode = true;
    return absl::OkStatus();
  }
  FXQ_RETURN_IF_ERROR(lexer_.expect("=", "after '" + key.text + "'"));
  if (key.is("origins")) {
    FXQ_ASSIGN_OR_RETURN(facts.origins, read_strings(lexer_, "the name of a value"));
  } else if (key.is("owner")) {
    FXQ_ASSIGN_OR_RETURN(facts.owner, read_string(lexer_, "the path of a module"));
  } else if (key.is("class")) {
    FXQ_ASSIGN_OR_RETURN(facts.owner_class, read_string(lexer_, "a class name"));
  } else if (key.is("source")) {
    FXQ_ASSIGN_OR_RETURN(facts.source, read_string(lexer_, "a source line"));
  } else if (key.is("device")) {
    FXQ_ASSIGN_OR_RETURN(facts.device, read_string(lexer_, "a device"));
  } else {
    return Lexer::error(
        key, "expected owner, class, source, origins, device or mode, read " + key.describe());
  }
  return absl::OkStatus();
}

void GraphReader::apply(const Facts& facts, Node* node) {
  if (!node) return;
  node->type = facts.type;
  if (facts.owner) node->owner.path = *facts.owner;
  if (facts.owner_class) node->owner.class_name = *facts.owner_class;
  node->source = facts.source;
  node->origins = facts.origins;
  node->device = facts.device;
  node->follows_mode = facts.follows_mode;
}

}  // namespace fxq
