// Protocol Buffers: a message that is described at run time, encoded, decoded, and written as JSON and text.

#include <cstring>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/json_util.h>

using namespace google::protobuf;

extern "C" int round_trip(int number, char *out, unsigned room) {
  FileDescriptorProto file;
  if (!TextFormat::ParseFromString(R"(
        name: "made.proto" syntax: "proto3"
        message_type {
          name: "Made"
          field { name: "number" number: 1 type: TYPE_INT32 label: LABEL_OPTIONAL }
          field { name: "words" number: 2 type: TYPE_STRING label: LABEL_REPEATED }
        })", &file)) return -1;
  DescriptorPool pool(DescriptorPool::generated_pool());
  const FileDescriptor *built = pool.BuildFile(file);
  if (!built) return -2;
  const Descriptor *kind = built->FindMessageTypeByName("Made");
  DynamicMessageFactory factory(&pool);
  std::unique_ptr<Message> message(factory.GetPrototype(kind)->New());
  const Reflection *reflection = message->GetReflection();
  reflection->SetInt32(message.get(), kind->FindFieldByName("number"), number);
  for (const char *word : {"one", "two"}) reflection->AddString(message.get(), kind->FindFieldByName("words"), word);
  std::string bytes = message->SerializeAsString(), json;
  std::unique_ptr<Message> read(factory.GetPrototype(kind)->New());
  if (!read->ParseFromString(bytes)) return -3;
  if (!util::MessageToJsonString(*read, &json).ok()) return -4;
  std::string said = std::to_string(bytes.size()) + " " + json + " " + read->ShortDebugString();
  said += read->ParseFromString("\xff") ? " taken" : " refused";
  std::strncpy(out, said.c_str(), room);
  return static_cast<int>(said.size());
}
